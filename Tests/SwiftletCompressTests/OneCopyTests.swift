// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import Testing

/// A constant that several nodes read is stored once, in whatever mode and whoever they are.
struct OneCopyTests {
  private static let modes: [@Sendable (inout QuantizationSettings) -> Void] = [
    { _ in },
    { $0.rounding = .gptq },
    { $0.mode = .dynamic },
    { $0.mode = .weightOnly },
    {
      $0.mode = .weightOnly
      $0.bits = 4
    },
    {
      $0.mode = .weightOnly
      $0.groupSize = 32
    },
  ]

  private static func normal(_ shape: Shape, seed: UInt64 = 1, size: Float = 0.3) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor<Float>(shape, normalUsing: &generator).map { $0 * size }
  }

  private static let transposed: [String: Attribute] = ["transB": .int(1)]

  private static func node(
    _ opType: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]
  ) -> Node {
    Node(opType, name: "", inputs: inputs, outputs: [output], attributes: attributes)
  }

  private static func graph(
    _ nodes: [Node], _ input: ValueInfo, width: Int = 64
  ) -> Graph {
    Graph(
      name: "shared", nodes: nodes, inputs: [input],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(width)])])
  }

  private static let rows = ValueInfo("x", .float32, [.symbolic("N"), .fixed(64)])
  private static let indices = ValueInfo("x", .int64, [.symbolic("N")])

  /// Graphs with one large constant `w`, and several readers of it.
  private static var graphs: [String: Graph] {
    var result = [
      "table and Gemm": graph(
        [
          node("Gather", ["w", "x"], "e"), node("Tanh", ["e"], "h"),
          node("Gemm", ["h", "w"], "y", transposed),
        ], indices),
      "table and turned MatMul": graph(
        [
          node("Gather", ["w", "x"], "e"), node("Tanh", ["e"], "h"),
          node("Transpose", ["w"], "t"), node("MatMul", ["h", "t"], "y"),
        ], indices),
      "both ways": graph(
        [
          node("Gemm", ["x", "w"], "a"), node("Tanh", ["a"], "t"),
          node("Gemm", ["t", "w"], "y", transposed),
        ], rows),
      "twice one way, once the other": graph(
        [
          node("Gemm", ["x", "w"], "a", transposed), node("Tanh", ["a"], "b"),
          node("MatMul", ["b", "w"], "c"), node("Tanh", ["c"], "d"),
          node("Gemm", ["d", "w"], "y"),
        ], rows),
      "sum": graph(
        [
          node("MatMul", ["x", "w"], "a"), node("Add", ["w", "one"], "s"),
          node("MatMul", ["a", "s"], "y"),
        ], rows),
    ]
    let branches = ["then", "else"].map { name in
      Graph(
        name: name,
        nodes: [
          name == "then" ? node("MatMul", ["x", "w"], "t") : node("Relu", ["x"], "t")
        ], outputs: [ValueInfo("t", .float32, [.symbolic("N"), .fixed(64)])])
    }
    result["body and MatMul"] = graph(
      [
        node("ReduceSum", ["x"], "s", ["keepdims": .int(0)]), node("Greater", ["s", "zero"], "c"),
        node(
          "If", ["c"], "h",
          ["then_branch": .graph(branches[0]), "else_branch": .graph(branches[1])]),
        node("MatMul", ["h", "w"], "y"),
      ], rows)
    for name in result.keys {
      result[name]!.initializers = [
        "w": .float32(normal([64, 64], seed: 3)), "one": .float32(Tensor(.scalar, [0.1])),
        "zero": .float32(Tensor(.scalar, [-1e9])),
      ]
      result[name]!.removeUnusedInitializers()
    }
    return result
  }

  private static func arrays(_ graph: Graph) -> [String: AnyTensor] {
    graph.inputs[0].dtype == .int64
      ? ["x": .int64(Tensor([24], (0..<24).map { Int64($0 * 37 % 64) }))]
      : ["x": .float32(normal([24, 64], seed: 5, size: 1))]
  }

  /// Constants with as many elements as the shared one, in graphs among the attributes too.
  private static func copies(_ graph: Graph) -> [DType] {
    let inner = graph.nodes.flatMap { node in
      node.attributes.values.flatMap { attribute in
        if case .graph(let inner) = attribute { copies(inner) } else { [] as [DType] }
      }
    }
    return graph.initializers.values.filter { $0.shape.count == 64 * 64 }.map(\.dtype) + inner
  }

  private static func quantize(
    _ graph: Graph, _ change: (inout QuantizationSettings) -> Void
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var settings = QuantizationSettings()
    change(&settings)
    return try Quantizer(settings).apply(to: graph, CalibrationSource(arrays(graph), for: graph))
  }

  private static func decibels(_ graph: Graph, _ other: Graph) throws -> Double {
    try Agreement.measure(graph, other, CalibrationSource(arrays(graph), for: graph)).decibels
  }

  @Test(arguments: modes.indices, Array(graphs.keys).sorted())
  func allReadersReadTheSameCodes(mode: Int, name: String) throws {
    let graph = Self.graphs[name]!
    let result = try Self.quantize(graph, Self.modes[mode])
    let copies = Self.copies(result.graph)
    let hasInt4 = mode == 4
    #expect(copies == [hasInt4 ? .int4 : .int8], "\(copies)")
    #expect(result.layers.contains { $0.changed })
    // What reads codes that others have stored is not told to keep floats; weights that are a sum
    // are no constants.
    #expect(
      result.layers.allSatisfy { $0.changed || name == "sum" && $0.remark.contains("computed") },
      "\(result.layers.map(\.remark))")
    let decibels = try Self.decibels(graph, result.graph)
    #expect(decibels > (hasInt4 ? 10 : 25), "\(decibels)")
    let bytes = try ONNXFile.encode(result.graph)
    #expect(try bytes.count < ONNXFile.encode(graph).count)
    #expect(try Self.decibels(result.graph, ONNXFile.decode(bytes)) == 200)
    // The reference computes the same as sessions, which fuse integers.
    let inputs = Self.arrays(graph)
    let plain = try Interpreter(result.graph).run(inputs, ExecutionContext())["y"]!.require(
      Float.self)
    let session = try Session(result.graph).run(inputs)["y"]!.require(Float.self)
    var ratio = SignalToNoise()
    ratio.add(plain, session)
    #expect(ratio.decibels > 30)
  }

  /// A layer that keeps its floats keeps those of all that read the same constant: no second copy.
  @Test(arguments: [0, 2, 3]) func keptLayersKeepWhatTheyShare(mode: Int) throws {
    for (name, kept) in [
      ("table and Gemm", "y"), ("table and turned MatMul", "y"), ("table and turned MatMul", "e"),
      ("both ways", "a"), ("body and MatMul", "y"),
    ] where mode > 0 || name == "both ways" {
      let graph = Self.graphs[name]!
      let result = try Self.quantize(graph) {
        Self.modes[mode](&$0)
        $0.keep = [kept]
      }
      #expect(Self.copies(result.graph) == [.float32], "\(name)")
      let reasons = Set(result.layers.map(\.remark))
      #expect(result.layers.allSatisfy { !$0.changed }, "\(name): \(reasons)")
      #expect(reasons.contains { $0.contains("shares its weights with '\(kept)'") }, "\(reasons)")
    }
  }

  /// 4 bits for one of the readers are 4 bits for all.
  @Test func int4LayersAreInt4Together() throws {
    let graph = Self.graph(
      [
        Self.node("MatMul", ["x", "w"], "a"), Self.node("Tanh", ["a"], "b"),
        Self.node("MatMul", ["b", "w"], "y"),
      ], Self.rows)
    var shared = graph
    shared.initializers = ["w": .float32(Self.normal([64, 64], seed: 3))]
    let result = try Self.quantize(shared) { $0.int4 = ["y"] }
    #expect(Self.copies(result.graph) == [.int4])
    #expect(result.layers.allSatisfy { $0.remark.hasPrefix("int4") })
  }

  @Test func weightsThatAreOutputsStayFloats() throws {
    var graph = Self.graphs["both ways"]!
    graph.outputs.append(ValueInfo("w", .float32, [.fixed(64), .fixed(64)]))
    let error = #expect(throws: SwiftletError.self) {
      try Self.quantize(graph) { $0.mode = .weightOnly }
    }
    #expect(error?.what.contains("its weights are an output of the model") == true)
  }

  // MARK: Restored weights

  private static func table(_ rows: Int = 64) -> Graph {
    var graph = Self.graph([node("Gather", ["w", "x"], "y")], indices)
    graph.initializers = ["w": .float32(normal([rows, 64], seed: 3))]
    return graph
  }

  /// Fewer bits would take as many bytes.
  @Test(arguments: [8, 7, 4]) func restoredWeightsHaveAllBits(bits: Int) throws {
    let graph = Self.table()
    let result = try Self.quantize(graph) {
      $0.mode = .weightOnly
      $0.bits = bits
    }.graph
    let codes = try #require(result.initializers["w.quantized"]).require(Int8.self).elements
    #expect(codes.map { abs(Int($0)) }.max() == 127)
    #expect(try Self.decibels(graph, result) > 40)
  }

  @Test(arguments: [
    ("bij,jk->bik", [64, 8], 1, 8), ("bij,kj->bik", [8, 64], 0, 8),
    ("b i j , j k", [64, 8], 1, 8), ("...j,jk->...k", [64, 8], 1, 8),
  ]) func operandsOfEinsumAreWeights(equation: String, shape: [Int], axis: Int, width: Int) throws {
    var graph = Graph(
      name: "einsum",
      nodes: [
        Self.node("Einsum", ["x", "w"], "y", ["equation": .string(equation)])
      ], inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(5), .fixed(64)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(5), .fixed(width)])])
    graph.initializers = ["w": .float32(Self.normal(Shape(shape), seed: 3))]
    let source = try CalibrationSource(
      ["x": .float32(Self.normal([6, 5, 64], seed: 4))], for: graph)
    for mode in [QuantizationMode.weightOnly, .dynamic] {
      var settings = QuantizationSettings()
      settings.mode = mode
      let result = try Quantizer(settings).apply(to: graph, source)
      #expect(result.layers.map(\.changed) == [true])
      #expect(result.graph.initializers["w"] == nil)
      #expect(result.graph.nodes[0].attributes["axis"] == .int(axis))
      #expect(try Agreement.measure(graph, result.graph, source).decibels > 38)
    }
  }

  /// The constant operand of a product may be the first one.
  @Test func operandsOnTheLeftAreWeights() throws {
    for (opType, attributes) in [("MatMul", [:]), ("Gemm", ["transA": .int(1)])]
      as [(String, [String: Attribute])]
    {
      var graph = Graph(
        name: "left", nodes: [Self.node(opType, ["w", "x"], "y", attributes)],
        inputs: [ValueInfo("x", .float32, [.fixed(32), .fixed(4)])],
        outputs: [ValueInfo("y", .float32, [.fixed(32), .fixed(4)])])
      graph.initializers = ["w": .float32(Self.normal([32, 32], seed: 3))]
      var settings = QuantizationSettings()
      settings.mode = .weightOnly
      let result = try Quantizer(settings).apply(to: graph, nil)
      #expect(result.layers.map(\.changed) == [true])
      #expect(result.graph.nodes[0].attributes["axis"] == .int(opType == "Gemm" ? 1 : 0))
      let source = try CalibrationSource(
        ["x": .float32(Self.normal([32, 4], seed: 4))], for: graph)
      expectError(.unsupported, "left operand") {
        try Quantizer(QuantizationSettings()).apply(to: graph, source)
      }
    }
  }

  // MARK: What static quantization says

  @Test func modelsWithOtherWeightsAreSentElsewhere() throws {
    let table = Self.table()
    expectError(.unsupported, "mode weightOnly or dynamic") { try Self.quantize(table) { _ in } }
    var inner = Self.graphs["body and MatMul"]!
    inner.nodes[2].outputs = ["y"]
    inner.nodes.removeLast()
    expectError(.unsupported, "to quantize statically: the weights are in MatMul") {
      try Self.quantize(inner) { _ in }
    }
    var layers = try Self.quantize(inner) { $0.mode = .weightOnly }.layers
    #expect(layers.map(\.changed) == [true])
    // Beside a layer they are listed.
    var both = Self.table()
    both.nodes[0].outputs = ["e"]
    both.nodes.append(Self.node("MatMul", ["e", "v"], "y"))
    both.initializers["v"] = .float32(Self.normal([64, 64], seed: 4))
    layers = try Self.quantize(both) { _ in }.layers
    #expect(layers.map(\.changed) == [false, true])
    #expect(layers[0].remark.contains("static quantization keeps its weights as floats"))
  }

  /// Floats that are there anyway are read by what computes with floats.
  @Test func onlyIntegersReadTheCopies() throws {
    var graph = Graph(
      name: "readers",
      nodes: [
        Self.node("Identity", ["x"], "same"), Self.node("Mul", ["x", "k"], "half"),
        Self.node("MatMul", ["x", "w"], "y"),
      ], inputs: [Self.rows],
      outputs: ["same", "half", "y"].map {
        ValueInfo($0, .float32, [.symbolic("N"), .fixed(64)])
      })
    graph.initializers = [
      "w": .float32(Self.normal([64, 64])), "k": .float32(Tensor(.scalar, [0.5])),
    ]
    let result = try Self.quantize(graph) { _ in }.graph
    let source = try CalibrationSource(Self.arrays(graph), for: graph)
    let outputs = try Agreement.measure(graph, result, source).outputs
    let decibels = Dictionary(uniqueKeysWithValues: outputs.map { ($0.name, $0.decibels) })
    #expect(decibels["same"] == 200 && decibels["half"] == 200)
    #expect(decibels["y"]! > 30 && decibels["y"]! < 100)
  }
}
