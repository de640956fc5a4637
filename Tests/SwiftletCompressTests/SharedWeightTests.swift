// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import Testing

/// One weight, one quantization, one copy, whatever uses it.
struct SharedWeightTests {
  private func normal(_ shape: Shape, seed: UInt64 = 1) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &generator)
  }

  /// Three steps of a recurrent layer that is unrolled, with one matrix.
  private func unrolled() -> Graph {
    var model = ModelBuilder(seed: 6, input: [32])
    model.weights("w", [32, 32])
    model.weights("b", [32], size: 0.1)
    for (index, name) in ["x", "h0", "h1"].enumerated() {
      model.node("Gemm", [name, "w", "b"], "g\(index)", ["transB": .int(1)])
      model.node("Tanh", ["g\(index)"], index == 2 ? "y" : "h\(index)")
    }
    model.output("y", [32])
    return model.graph
  }

  private func quantize(
    _ graph: Graph, _ arrays: [String: AnyTensor], _ change: (inout QuantizationSettings) -> Void
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var settings = QuantizationSettings()
    change(&settings)
    return try Quantizer(settings).apply(to: graph, CalibrationSource(arrays, for: graph))
  }

  private func decibels(
    _ graph: Graph, _ other: Graph, _ arrays: [String: AnyTensor]
  ) throws -> Double {
    try Agreement.measure(graph, other, CalibrationSource(arrays, for: graph)).decibels
  }

  @Test(arguments: [QuantizationMode.static, .dynamic, .weightOnly], WeightRounding.allCases)
  func sharedWeightsAreStoredOnce(mode: QuantizationMode, rounding: WeightRounding) throws {
    let graph = unrolled()
    let arrays: [String: AnyTensor] = ["x": .float32(normal([32, 32]))]
    let result = try quantize(graph, arrays) {
      $0.mode = mode
      $0.rounding = rounding
    }.graph
    let large = result.initializers.values.filter { $0.shape.count == 32 * 32 }
    #expect(large.count == 1 && large[0].dtype == .int8)
    #expect(try decibels(graph, result, arrays) > 30)
  }

  /// Errors of all users count: the one whose inputs vary in two directions alone gains, wherever
  /// it stands.
  @Test(arguments: [0, 1]) func momentsOfAllUsersAddUp(plain: Int) throws {
    var graph = Graph(name: "two")
    let names = ["a", "b"]
    graph.inputs = names.map { ValueInfo($0, .float32, [.symbolic("N"), .fixed(16)]) }
    graph.outputs = names.map { ValueInfo("\($0).y", .float32, [.symbolic("N"), .fixed(24)]) }
    graph.initializers = ["w": .float32(normal([16, 24], seed: 3))]
    graph.nodes = names.map {
      Node("MatMul", name: $0, inputs: [$0, "w"], outputs: ["\($0).y"])
    }
    let (left, right) = (normal([64, 2], seed: 4), normal([2, 16], seed: 5))
    let narrow = Tensor<Float>(
      [64, 16],
      (0..<64 * 16).map {
        left[$0 / 16, 0] * right[0, $0 % 16] + left[$0 / 16, 1] * right[1, $0 % 16]
      })
    let arrays: [String: AnyTensor] = [
      names[plain]: .float32(normal([64, 16], seed: 6)), names[1 - plain]: .float32(narrow),
    ]
    func result(_ rounding: WeightRounding) throws -> [String: Double] {
      let quantized = try quantize(graph, arrays) {
        $0.mode = .weightOnly
        $0.bits = 4
        $0.groupSize = 0
        $0.rounding = rounding
      }.graph
      let outputs = try Agreement.measure(
        graph, quantized, CalibrationSource(arrays, for: graph)
      ).outputs
      return Dictionary(uniqueKeysWithValues: outputs.map { ($0.name, $0.decibels) })
    }
    let (nearest, other) = (try result(.nearest), try result(.gptq))
    let name = "\(names[1 - plain]).y"
    #expect(other[name]! > nearest[name]! + 2, "\(nearest) \(other)")
  }

  /// A table that is looked up in and multiplied with, as encoders tie them.
  @Test(arguments: [QuantizationMode.dynamic, .weightOnly], [0, 1])
  func tiedTablesAreStoredOnce(mode: QuantizationMode, transposed: Int) throws {
    var graph = Graph(name: "tied")
    graph.inputs = [ValueInfo("i", .int64, [.symbolic("N")])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(64)])]
    graph.initializers = ["e": .float32(normal([64, 64], seed: 2))]
    graph.nodes = [
      Node("Gather", name: "gather", inputs: ["e", "i"], outputs: ["v"]),
      Node("Tanh", name: "tanh", inputs: ["v"], outputs: ["t"]),
      Node(
        "Gemm", name: "gemm", inputs: ["t", "e"], outputs: ["y"],
        attributes: ["transB": .int(transposed)]),
    ]
    let indices: [String: AnyTensor] = ["i": .int64(Tensor([16], (0..<16).map { Int64($0 * 4) }))]
    let result = try quantize(graph, indices) { $0.mode = mode }
    #expect(result.layers.allSatisfy { $0.changed } && result.layers.count == 2)
    #expect(result.graph.initializers.values.count { $0.shape.count == 64 * 64 } == 1)
    #expect(try decibels(graph, result.graph, indices) > 30)
  }

  // MARK: Weights of other operators

  /// An embedding, a GRU of two directions, a transposed convolution, and layers in both branches
  /// of an If, one of which reads weights from outside.
  private func odd() -> Graph {
    var graph = Graph(name: "odd")
    graph.inputs = [ValueInfo("i", .int64, [.symbolic("N"), .fixed(8)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(6)])]
    func branch(_ name: String, _ weights: OrderedDictionary<String, AnyTensor>, _ w: String)
      -> Graph
    {
      var inner = Graph(
        name: name, initializers: weights, outputs: [ValueInfo("\(name).y", .float32, [])])
      inner.nodes = [
        Node("MatMul", name: "\(name) product", inputs: ["f", w], outputs: ["\(name).y"])
      ]
      return inner
    }
    graph.initializers = [
      "e": .float32(normal([64, 32], seed: 2)), "w": .float32(normal([2, 48, 32], seed: 3)),
      "r": .float32(normal([2, 48, 16], seed: 4)), "t": .float32(normal([8, 4, 1, 1], seed: 5)),
      "outer": .float32(normal([128, 6], seed: 6)), "condition": .bool(Tensor(.scalar, [true])),
      "four": .int64(Tensor([4], [0, 8, 8, -1])), "flat": .int64(Tensor([2], [-1, 128])),
    ]
    graph.nodes = [
      Node("Gather", name: "table", inputs: ["e", "i"], outputs: ["v"]),
      Node(
        "Transpose", name: "turn", inputs: ["v"], outputs: ["s"],
        attributes: ["perm": .ints([1, 0, 2])]),
      Node(
        "GRU", name: "gru", inputs: ["s", "w", "r"], outputs: ["g"],
        attributes: ["hidden_size": .int(16), "direction": .string("bidirectional")]),
      Node(
        "Transpose", name: "back", inputs: ["g"], outputs: ["k"],
        attributes: ["perm": .ints([2, 0, 1, 3])]),
      Node("Reshape", name: "four", inputs: ["k", "four"], outputs: ["c"]),
      Node("ConvTranspose", name: "deconvolution", inputs: ["c", "t"], outputs: ["d"]),
      Node("Reshape", name: "flat", inputs: ["d", "flat"], outputs: ["f0"]),
      Node("Identity", name: "same", inputs: ["f0"], outputs: ["f"]),
      Node(
        "If", name: "if", inputs: ["condition"], outputs: ["y"],
        attributes: [
          "then_branch": .graph(
            branch("then", ["own": .float32(normal([128, 6], seed: 7))], "own")),
          "else_branch": .graph(branch("else", [:], "outer")),
        ]),
    ]
    return graph
  }

  @Test func weightsOfAllOperatorsAreStored() throws {
    let graph = odd()
    let indices: [String: AnyTensor] = [
      "i": .int64(Tensor([4, 8], (0..<32).map { Int64($0 * 7 % 64) }))
    ]
    let result = try quantize(graph, indices) { $0.mode = .weightOnly }
    #expect(result.layers.allSatisfy { $0.changed })
    #expect(
      Set(result.layers.map(\.layer)) == [
        "table", "gru", "deconvolution", "then product", "else product",
      ])
    let floats = result.graph.initializers.values.filter {
      $0.dtype == .float32 && $0.shape.rank > 1
    }
    #expect(floats.isEmpty)
    guard case .graph(let then)? = result.graph.nodes.last?.attributes["then_branch"] else {
      Issue.record("there is no branch")
      return
    }
    #expect(then.initializers.values.map(\.dtype).contains(.int8))
    #expect(try decibels(graph, result.graph, indices) > 25)
    let file = try ONNXFile.encode(result.graph)
    #expect(try file.count < ONNXFile.encode(graph).count / 2)
    #expect(try decibels(result.graph, ONNXFile.decode(file), indices) == 200)
    // Sessions restore all of them once: no run does.
    #expect(result.graph.simplified().initializers.values.allSatisfy { $0.dtype != .int8 })
    let kept = try quantize(graph, indices) {
      $0.mode = .weightOnly
      $0.keep = ["gru", "deconvolution"]
    }
    #expect(kept.graph.initializers["w"] != nil && kept.graph.initializers["t"] != nil)
    #expect(
      kept.layers.filter { !$0.changed }.map(\.layer).sorted() == ["deconvolution", "gru"])
  }

  @Test func layersThatStayAreListedWithTheirReason() throws {
    var graph = odd()
    graph.nodes.append(Node("Relu", name: "relu", inputs: ["y"], outputs: ["z"]))
    graph.nodes.append(Node("MatMul", name: "last", inputs: ["z", "l"], outputs: ["o"]))
    graph.initializers["l"] = .float32(normal([6, 3], seed: 8))
    graph.outputs = [ValueInfo("o", .float32, [.symbolic("N"), .fixed(3)])]
    let indices: [String: AnyTensor] = [
      "i": .int64(Tensor([4, 8], (0..<32).map { Int64($0 * 7 % 64) }))
    ]
    let layers = try quantize(graph, indices) { _ in }.layers
    #expect(layers.filter { $0.changed }.map(\.layer) == ["last"])
    let kept = layers.filter { !$0.changed }
    #expect(
      Set(kept.map(\.layer)) == ["table", "gru", "deconvolution", "then product", "else product"])
    #expect(kept.allSatisfy { $0.remark.contains("mode weightOnly") })
  }

  @Test func withoutSamplesWeightsAloneChange() throws {
    let graph = unrolled()
    let arrays: [String: AnyTensor] = ["x": .float32(normal([8, 32]))]
    for mode in [QuantizationMode.dynamic, .weightOnly] {
      var settings = QuantizationSettings()
      settings.mode = mode
      let result = try Quantizer(settings).apply(to: graph, nil)
      #expect(result.layers.count == 3 && result.layers.allSatisfy { $0.changed })
      #expect(try decibels(graph, result.graph, arrays) > 30)
    }
    var settings = QuantizationSettings()
    expectError(.badInput, "need samples") { try Quantizer(settings).apply(to: graph, nil) }
    settings.mode = .weightOnly
    settings.rounding = .gptq
    expectError(.badInput, "need samples") { try Quantizer(settings).apply(to: graph, nil) }
  }
}
