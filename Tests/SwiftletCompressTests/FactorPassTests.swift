// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// What svd, lowrank and eigen take for a layer, and what they leave alone.
@Suite struct FactorPassTests {
  private func normal(_ shape: Shape, seed: UInt64) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &generator)
  }

  private func lowRank(_ rows: Int, _ columns: Int, rank: Int, seed: UInt64) -> Tensor<Float> {
    let (a, b) = (normal([rows, rank], seed: seed), normal([rank, columns], seed: seed + 1))
    return Tensor(
      [rows, columns],
      (0..<rows * columns).map { i in
        (0..<rank).reduce(0) { $0 + a[i / columns, $1] * b[$1, i % columns] }
      })
  }

  private func graph(
    _ nodes: [Node], _ initializers: OrderedDictionary<String, AnyTensor>, inputs: Int = 96
  ) -> Graph {
    Graph(
      name: "g", nodes: nodes, initializers: initializers,
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(inputs)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(96)])])
  }

  private func compressed(
    _ graph: Graph, _ technique: Technique = .svd,
    _ change: (inout FactorSettings) -> Void = { _ in }
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var settings = FactorSettings()
    settings.cost = .macs
    change(&settings)
    var step = CompressionStep(technique)
    step[FactorSettings.self] = settings
    return try compressed(graph, step)
  }

  private func compressed(
    _ graph: Graph, _ step: CompressionStep
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let shape = try graph.inputs[0].shape(batch: 128)
    let context = CompressionContext(
      original: graph, samples: ["x": .float32(normal(shape, seed: 9))], threads: .serial)
    return try Compressor(context).apply(Recipe([step]))
  }

  private func product(_ name: String, _ input: String, _ weight: String, _ output: String) -> Node
  {
    Node("MatMul", name: name, inputs: [input, weight], outputs: [output])
  }

  /// Factors of each user of a weight would be stored beside it.
  @Test func sharedWeightsAreKept() throws {
    let shared = graph(
      [product("a", "x", "w", "h"), product("b", "h", "w", "y")],
      ["w": .float32(normal([96, 96], seed: 1))])
    let (result, layers) = try compressed(shared)
    #expect(result.nodes.count == 2 && layers.allSatisfy { !$0.changed })
    #expect(layers[0].remark.contains("MatMul 'b'"))
  }

  @Test(arguments: [Technique.svd, .eigen])
  func weightsInNodesAreFactored(technique: Technique) throws {
    let held = graph(
      [
        Node(
          "Constant", name: "", inputs: [], outputs: ["w"],
          attributes: ["value": .tensor(.float32(normal([96, 96], seed: 1)))]),
        product("a", "x", "w", "y"),
      ], [:])
    let (result, layers) = try compressed(held, technique)
    #expect(layers.count == 1 && layers[0].changed)
    #expect(result.nodes.count { $0.opType == "MatMul" } == 2)
    #expect(result.parameterCount < 96 * 96)
  }

  @Test(arguments: [Technique.svd, .lowrank, .eigen, .prune])
  func quantizedModelsAreRefused(technique: Technique) throws {
    let dense = graph(
      [product("a", "x", "w", "y")], ["w": .float32(normal([96, 96], seed: 1))])
    for (mode, bits, plain) in [
      (QuantizationMode.static, 8, false), (.weightOnly, 4, false), (.weightOnly, 8, false),
      (.weightOnly, 8, true),
    ] {
      let (quantized, _) = try compressed(
        dense, .quantize { ($0.mode, $0.bits, $0.plainWeights) = (mode, bits, plain) })
      expectError(.unsupported, "already quantized") { try compressed(quantized, technique) }
    }
  }

  /// Factors of 16-bit weights have 16 bits.
  @Test(arguments: [10, 16])
  func factorsKeepTheirTypeInTheFile(type: Int) throws {
    var dense = graph(
      [product("a", "x", "w", "y")],
      ["w": .float32(normal([96, 96], seed: 1).map { Float(Float16($0)) })])
    dense.halves = ["w": type]
    let (result, _) = try compressed(dense)
    let factors = result.initializers.filter { $0.value.shape.rank == 2 }
    #expect(factors.count == 2)
    for (name, value) in factors {
      #expect(result.halves[name] == type)
      let tensor: Tensor<Float> = try value.require()
      #expect(type == 10 || tensor.elements.allSatisfy(\.isBFloat))
    }
  }

  /// What costs nothing is taken, whatever the budget allows: weights of rank 4 need no 16.
  @Test(arguments: [AllocationStrategy.budget, .greedy], [0.3, 0.9, 1])
  func exactRanksAreTaken(strategy: AllocationStrategy, ratio: Double) throws {
    let exact = graph(
      [
        product("a", "x", "wa", "h"), Node("Relu", name: "r", inputs: ["h"], outputs: ["i"]),
        product("b", "i", "wb", "y"),
      ],
      [
        "wa": .float32(lowRank(96, 96, rank: 4, seed: 1)),
        "wb": .float32(normal([96, 96], seed: 5)),
      ])
    for dataAware in [true, false] {
      let (result, layers) = try compressed(exact) {
        $0.allocation = strategy
        $0.dataAware = dataAware
        $0.ratio = ratio
      }
      #expect(layers.first { $0.layer == "a" }?.rank == 4)
      if ratio > 0.5 {
        #expect(layers.first { $0.layer == "b" }?.changed == false)
        let x = normal([8, 96], seed: 7)
        let (a, b) = (try Session(exact).run(x).elements, try Session(result).run(x).elements)
        let largest = a.reduce(0) { max($0, abs($1)) }
        #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * largest })
      }
    }
  }

  /// CP has no spectrum: what its factors keep is measured.
  @Test func cpKeepsAnEnergy() throws {
    var conv = graph(
      [
        Node(
          "Conv", name: "c", inputs: ["x", "w"], outputs: ["y"],
          attributes: ["pads": .ints([1, 1, 1, 1])])
      ], ["w": .float32(normal([32, 16, 3, 3], seed: 3))])
    conv.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(16), .fixed(6), .fixed(6)])]
    conv.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(32), .fixed(6), .fixed(6)])]
    func errors(_ energy: Double) throws -> LayerReport {
      let (_, layers) = try compressed(conv, .lowrank) {
        $0.methods = [.cp]
        $0.allocation = .energy
        $0.energy = energy
      }
      return layers[0]
    }
    let (half, most) = (try errors(0.3), try errors(0.6))
    #expect(half.changed && most.changed)
    #expect(try #require(half.damage) <= 0.7 + 1e-9 && #require(most.damage) <= 0.4 + 1e-9)
    #expect(half.remark != most.remark)
  }

  /// W · x with constant W becomes U · (V · x), whatever its input's rank.
  @Test(arguments: [Technique.svd, .eigen], [2, 3])
  func productsFromTheLeftAreFactored(technique: Technique, rank: Int) throws {
    let swap = Attribute.ints(rank == 2 ? [1, 0] : [0, 2, 1])
    var left = graph(
      [
        Node(
          "Transpose", name: "t", inputs: ["x"], outputs: ["xt"], attributes: ["perm": swap]),
        product("m", "w", "xt", "z"),
        Node(
          "Transpose", name: "u", inputs: ["z"], outputs: ["y"], attributes: ["perm": swap]),
      ], ["w": .float32(lowRank(96, 96, rank: 4, seed: 1))])
    if rank == 3 {
      left.inputs[0].dimensions.insert(.fixed(5), at: 1)
      left.outputs[0].dimensions.insert(.fixed(5), at: 1)
    }
    let (result, layers) = try compressed(left, technique) { $0.allocation = .evbmf }
    #expect(layers.count == 1 && layers[0].layer == "m" && layers[0].rank == 4)
    let products = result.nodes.filter { $0.opType == "MatMul" }
    #expect(products.count == 2 && result.nodes.count { $0.opType == "Transpose" } == 2)
    #expect(products.allSatisfy { result.initializers[$0.inputs[0]] != nil })
    #expect(result.initializers[products[0].inputs[0]]?.shape == [4, 96])
    #expect(result.initializers[products[1].inputs[0]]?.shape == [96, 4])
    #expect(result.initializers["w"] == nil)
    let x = AnyTensor.float32(normal(try left.inputs[0].shape(batch: 7), seed: 4))
    func answers(_ graph: Graph) throws -> [Float] {
      try #require(
        Interpreter(graph).run(["x": x], ExecutionContext())["y"]?.typed(as: Float.self)
      ).elements
    }
    let (before, after) = (try answers(left), try answers(result))
    let scale = before.reduce(0) { max($0, abs($1)) }
    #expect(before.count == after.count && scale > 1)
    #expect(zip(before, after).allSatisfy { abs($0 - $1) < 1e-3 * scale })
  }

  /// What is not worth factoring, and weights that others read, stay as they were.
  @Test func otherProductsFromTheLeftStay() throws {
    let swap: [String: Attribute] = ["perm": .ints([1, 0])]
    let turn = Node("Transpose", name: "t", inputs: ["x"], outputs: ["xt"], attributes: swap)
    let back = Node("Transpose", name: "u", inputs: ["z"], outputs: ["y"], attributes: swap)
    let thin = graph(
      [turn, product("m", "w", "xt", "z"), back], ["w": .float32(normal([96, 32], seed: 1))],
      inputs: 32)
    let kept = try compressed(thin)
    #expect(kept.graph.nodes == thin.nodes && kept.graph.initializers == thin.initializers)
    #expect(kept.layers[0].remark.contains("32 products"))
    let shared = graph(
      [turn, product("m", "w", "xt", "a"), product("n", "w", "a", "z"), back],
      ["w": .float32(normal([96, 96], seed: 1))])
    let other = try compressed(shared)
    #expect(other.graph.nodes == shared.nodes && other.layers.allSatisfy { !$0.changed })
    #expect(other.layers[0].remark.contains("weights are on the left, and are shared"))
  }

  @Test func pruningSaysWhyNothingCanGo() throws {
    let swap: [String: Attribute] = ["perm": .ints([1, 0])]
    let left = graph(
      [
        Node("Transpose", name: "t", inputs: ["x"], outputs: ["xt"], attributes: swap),
        product("m", "w", "xt", "z"),
        Node("Transpose", name: "u", inputs: ["z"], outputs: ["y"], attributes: swap),
      ], ["w": .float32(normal([96, 96], seed: 1))])
    expectError(.unsupported, "MatMul 'm' has its weights on the left") {
      try compressed(left, .prune)
    }
    var double = graph(
      [product("m", "x", "w", "y")],
      ["w": .float64(normal([96, 96], seed: 1).converted(to: Double.self))])
    double.inputs[0] = ValueInfo("x", .float64, [.symbolic("N"), .fixed(96)])
    double.outputs[0] = ValueInfo("y", .float64, [.symbolic("N"), .fixed(96)])
    var random = RandomGenerator(seed: 2)
    let samples = AnyTensor.float64(Tensor([8, 96], normalUsing: &random))
    let context = CompressionContext(original: double, samples: ["x": samples], threads: .serial)
    expectError(.unsupported, "the weights of MatMul 'm' are float64") {
      try Compressor(context).apply(Recipe([CompressionStep(.prune)]))
    }
  }

  /// Exact ranks are found, with data and without: what is below the rounding of fp32 is no noise.
  @Test(arguments: [false, true], [1, 4, 20])
  func exactRanksAreFound(dataAware: Bool, rank: Int) throws {
    let dense = graph(
      [product("a", "x", "w", "y")], ["w": .float32(lowRank(96, 96, rank: rank, seed: 3))])
    let (_, layers) = try compressed(dense) {
      $0.allocation = .evbmf
      $0.dataAware = dataAware
    }
    #expect(layers.map(\.rank) == [rank])
  }

  @Test(arguments: [FactorMethod.channel, .tucker], [false, true])
  func exactRanksOfConvolutionsAreFound(method: FactorMethod, dataAware: Bool) throws {
    var model = ModelBuilder(seed: 4, input: [48, 6, 6])
    model.conv("x", "a", (48, 48))
    model.graph.initializers["a.w"] = .float32(
      lowRank(48, 48 * 9, rank: 4, seed: 5).reshaped(to: [48, 48, 3, 3]))
    model.output("a", [48, 6, 6])
    let step = CompressionStep.lowrank {
      ($0.methods, $0.allocation, $0.dataAware) = ([method], .evbmf, dataAware)
    }
    let samples = AnyTensor.float32(normal([96, 48, 6, 6], seed: 6))
    let context = CompressionContext(
      original: model.graph, samples: ["x": samples], threads: .serial)
    let layers = try Compressor(context).apply(Recipe([step])).layers
    // 4 rows of 48 × 9 weights span 36 directions of the input channels at most.
    #expect(layers[0].remark == (method == .channel ? "channel, 4" : "tucker, 36×4"))
  }
}
