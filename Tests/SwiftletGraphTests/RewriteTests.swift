// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Rewrites leave less to do and the same results.
struct RewriteTests {
  private func random(_ shape: Shape, _ generator: inout RandomGenerator) -> AnyTensor {
    .float32(Tensor<Double>(shape, normalUsing: &generator).map { Float($0) })
  }

  /// A layer, `BatchNormalization` behind it, and the shape of the input.
  struct Layer: Sendable, CustomStringConvertible {
    let node: Node
    let input, weight: Shape
    let channels: Int
    var description: String { "\(node.opType) \(node.attributes)" }

    init(
      _ opType: String, _ input: Shape, _ weight: Shape, channels: Int, bias: Bool,
      _ attributes: [String: Attribute] = [:]
    ) {
      node = Node(
        opType, name: "layer", inputs: ["x", "w"] + (bias ? ["b"] : []), outputs: ["h"],
        attributes: attributes)
      (self.input, self.weight, self.channels) = (input, weight, channels)
    }
  }

  private static let layers: [Layer] = [
    Layer("Conv", [2, 3, 5, 5], [4, 3, 3, 3], channels: 4, bias: true),
    Layer("Conv", [2, 4, 7], [6, 2, 3], channels: 6, bias: false, ["group": .int(2)]),
    Layer(
      "ConvTranspose", [1, 4, 3, 3], [4, 3, 2, 2], channels: 6, bias: true, ["group": .int(2)]),
    Layer("Gemm", [3, 5], [5, 4], channels: 4, bias: false),
    Layer("Gemm", [3, 5], [4, 5], channels: 4, bias: true, ["transB": .int(1)]),
  ]

  private func graph(_ layer: Layer) -> Graph {
    var generator = RandomGenerator(seed: 3)
    var graph = Graph(
      name: "g",
      nodes: [
        layer.node,
        Node(
          "BatchNormalization", name: "bn", inputs: ["h", "s", "t", "m", "v"], outputs: ["y"],
          attributes: ["epsilon": .float(0.01)]),
      ],
      inputs: [ValueInfo("x", .float32, layer.input.dimensions.map(Dimension.fixed))],
      outputs: [ValueInfo("y", .float32, [])])
    graph.initializers["w"] = random(layer.weight, &generator)
    for name in ["b", "s", "t", "m"] {
      graph.initializers[name] = random([layer.channels], &generator)
    }
    graph.initializers["v"] = .float32(
      Tensor([layer.channels], (0..<layer.channels).map { 0.3 + Float($0) }))
    return graph
  }

  private func result(
    _ graph: Graph, _ x: AnyTensor, _ output: String = "y"
  ) throws -> Tensor<Float> {
    try #require(
      try Interpreter(graph).run([graph.dataInputs[0].name: x], ExecutionContext())[output]
    ).require()
  }

  @Test(arguments: layers)
  func batchNormalizationBecomesPartOfTheLayer(layer: Layer) throws {
    var generator = RandomGenerator(seed: 9)
    let (before, x) = (graph(layer), random(layer.input, &generator))
    let after = before.foldingBatchNormalization()
    #expect(after.nodes.map(\.opType) == [layer.node.opType])
    #expect(after.initializers.count == 2)
    let (a, b) = (try result(before, x).elements, try result(after, x).elements)
    #expect(a.count == b.count && a.count > 0)
    for (a, b) in zip(a, b) { #expect(abs(a - b) <= 1e-5 * max(1, abs(a))) }
  }

  @Test func batchNormalizationStaysWhereTheLayersResultIsRead() {
    var other = graph(Self.layers[0])
    other.nodes.append(Node("Relu", name: "r", inputs: ["h"], outputs: ["z"]))
    #expect(other.foldingBatchNormalization() == other)
    var shown = graph(Self.layers[0])
    shown.outputs.append(ValueInfo("h", .float32, []))
    #expect(shown.foldingBatchNormalization() == shown)
    var scaled = graph(Self.layers[4])
    scaled.nodes[0].attributes["beta"] = .float(2)
    #expect(scaled.foldingBatchNormalization().nodes.count == 2)
  }

  @Test func weightsThatOthersReadKeepTheirValues() throws {
    var shared = graph(Self.layers[0])
    shared.nodes.append(Node("Relu", name: "r", inputs: ["w"], outputs: ["z"]))
    shared.outputs.append(ValueInfo("z", .float32, []))
    let after = shared.foldingBatchNormalization()
    #expect(after.initializers["w"] == shared.initializers["w"])
    #expect(after.nodes[0].inputs[1] != "w")
  }

  /// Pairs in a row that share weights, scales, shifts and variances.
  @Test(arguments: [2, 5, 3000])
  func pairsThatShareTheirConstants(count: Int) throws {
    var generator = RandomGenerator(seed: 5)
    var chain = Graph(
      name: "g", inputs: [ValueInfo("x0", .float32, [.fixed(1), .fixed(4), .fixed(2), .fixed(2)])],
      outputs: [ValueInfo("x\(count)", .float32, [])])
    chain.initializers["w"] = .float32(
      Tensor([4, 4, 1, 1], (0..<16).map { $0 % 5 == 0 ? 0.9 : 0.01 * Float($0 % 3) }))
    for name in ["s", "t", "m"] {
      chain.initializers[name] = .float32(
        Tensor([4], (0..<4).map { _ in Float(0.9 + 0.2 * generator.uniform()) }))
    }
    chain.initializers["v"] = .float32(Tensor([4], [1, 1.1, 0.9, 1]))
    for index in 0..<count {
      chain.nodes += [
        Node("Conv", name: "c\(index)", inputs: ["x\(index)", "w"], outputs: ["h\(index)"]),
        Node(
          "BatchNormalization", name: "n\(index)", inputs: ["h\(index)", "s", "t", "m", "v"],
          outputs: ["x\(index + 1)"]),
      ]
    }
    let folded = chain.foldingBatchNormalization()
    #expect(folded.nodes.map(\.opType) == Array(repeating: "Conv", count: count))
    #expect(folded.initializers.count == 2 * count)
    #expect(folded.initializers["w"] != nil && folded.initializers["t"] != nil)
    guard count < 10 else { return }
    let x = random([1, 4, 2, 2], &generator)
    for (a, b) in zip(
      try result(chain, x, "x\(count)").elements,
      try result(folded, x, "x\(count)").elements)
    {
      #expect(abs(a - b) <= 1e-5 * max(1, abs(a)))
    }
  }

  @Test func constantsAreComputed() throws {
    var graph = Graph(
      name: "g",
      nodes: [
        Node(
          "Constant", name: "c", inputs: [], outputs: ["c"],
          attributes: ["value": .tensor(list(2, 3))]),
        Node("Add", name: "a", inputs: ["c", "k"], outputs: ["s"]),
        Node("Reshape", name: "r", inputs: ["x", "s"], outputs: ["y"]),
        Node("Neg", name: "n", inputs: ["k"], outputs: ["z"]),
        Node("ConstantOfShape", name: "big", inputs: ["huge"], outputs: ["zeros"]),
        Node("DequantizeLinear", name: "q", inputs: ["i8", "scale"], outputs: ["w"]),
      ],
      inputs: [ValueInfo("x", .float32, [.fixed(12)])],
      outputs: ["y", "z", "zeros", "w"].map { ValueInfo($0, .float32, []) })
    graph.initializers = [
      "k": list(1, 1), "huge": list(1 << 20, 4), "scale": floats([], [1]),
      "i8": .int8(Tensor([1], [3])),
    ]
    let after = graph.foldingConstants()
    #expect(after.nodes.map(\.name) == ["r", "n", "big", "q"])
    #expect(after.initializers["s"] == list(3, 4))
    #expect(after.initializers["c"] == nil)
  }

  @Test func identitiesGo() throws {
    func node(_ opType: String, _ input: String, _ output: String) -> Node {
      Node(opType, name: output, inputs: [input], outputs: [output])
    }
    let graph = Graph(
      name: "g",
      nodes: [
        node("Identity", "x", "a"), node("Dropout", "a", "b"), node("Relu", "b", "c"),
        node("Identity", "c", "d"), node("Neg", "c", "e"), node("Identity", "d", "y"),
        node("Identity", "x", "z"),
      ],
      inputs: [ValueInfo("x", .float32, [.fixed(3)])],
      outputs: ["y", "e", "z"].map { ValueInfo($0, .float32, []) })
    let after = graph.removingIdentities()
    #expect(after.nodes.map(\.opType) == ["Relu", "Neg", "Identity"])
    let x: [String: AnyTensor] = ["x": floats([3], [-1, 0, 2])]
    #expect(
      try Interpreter(after).run(x, ExecutionContext()) == Interpreter(graph).run(x, ExecutionContext()))
  }
}

struct FoldingLimitTests {
  /// A small model must not grow to gigabytes while it is simplified.
  @Test func chainsThatDoubleAreNotFolded() {
    var graph = Graph(name: "g", outputs: [ValueInfo("y", .float32, [.symbolic("n")])])
    graph.initializers["x0"] = .float32(Tensor([1024], repeating: 1))
    for i in 0..<30 {
      graph.nodes.append(
        Node(
          "Concat", name: "c\(i)", inputs: ["x\(i)", "x\(i)"],
          outputs: [i == 29 ? "y" : "x\(i + 1)"], attributes: ["axis": .int(0)]))
    }
    let folded = graph.foldingConstants()
    #expect(folded.nodes.count > 10 && folded.weightByteCount < 64 << 20)
  }
}
