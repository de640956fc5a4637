// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Weights that a file makes of constants become constants.
@Suite struct FoldingWeightsTests {
  private func answers(_ graph: Graph, _ x: Tensor<Float>) throws -> [Float] {
    let results = try Interpreter(graph).run(["x": .float32(x)], ExecutionContext())
    return try #require(results["y"]).require(Float.self).elements
  }

  private func normal(_ shape: Shape, seed: UInt64 = 1) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &generator)
  }

  private func graph(
    _ nodes: [Node], _ initializers: OrderedDictionary<String, AnyTensor> = [:]
  ) -> Graph {
    Graph(
      name: "g", nodes: nodes, initializers: initializers,
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(6)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(4)])])
  }

  private func constant(_ name: String, _ value: AnyTensor) -> Node {
    Node("Constant", name: "", inputs: [], outputs: [name], attributes: ["value": .tensor(value)])
  }

  /// Ways to write the weights of x · w, 6 × 4.
  static let ways = ["constant", "identity", "transpose", "reshape", "cast", "chain", "scaled"]

  private func model(_ way: String) -> Graph {
    let w = normal([6, 4])
    let product = Node("MatMul", name: "", inputs: ["x", "w"], outputs: ["y"])
    switch way {
    case "identity":
      return graph(
        [Node("Identity", name: "", inputs: ["v"], outputs: ["w"]), product], ["v": .float32(w)])
    case "transpose":
      return graph(
        [
          Node(
            "Transpose", name: "", inputs: ["v"], outputs: ["w"],
            attributes: ["perm": .ints([1, 0])]),
          product,
        ], ["v": .float32(w.transposed().contiguous())])
    case "reshape":
      return graph(
        [
          constant("s", .int64(Tensor([2], [6, -1]))),
          Node("Reshape", name: "", inputs: ["v", "s"], outputs: ["w"]), product,
        ], ["v": .float32(w.reshaped(to: [24]))])
    case "cast":
      return graph(
        [
          Node("Cast", name: "", inputs: ["v"], outputs: ["w"], attributes: ["to": .int(1)]),
          product,
        ],
        ["v": .float64(w.converted(to: Double.self))])
    case "chain":
      return graph([
        constant("a", .float32(w.transposed().contiguous().reshaped(to: [1, 4, 6]))),
        constant("s", .int64(Tensor([2], [4, 6]))),
        Node("Reshape", name: "", inputs: ["a", "s"], outputs: ["b"]),
        Node("Identity", name: "", inputs: ["b"], outputs: ["c"]),
        Node("Transpose", name: "", inputs: ["c"], outputs: ["w"]), product,
      ])
    case "scaled":
      return graph(
        [
          Node("Mul", name: "", inputs: ["v", "g"], outputs: ["w"]), product,
        ], ["v": .float32(w), "g": .float32(Tensor([1, 4], [1, 2, 0.5, 1]))])
    default: return graph([constant("w", .float32(w)), product])
    }
  }

  @Test(arguments: ways)
  func weightsBecomeConstants(way: String) throws {
    let before = model(way)
    let after = before.foldingWeights()
    let node = try #require(after.nodes.last)
    #expect(after.initializers[node.inputs[1]]?.shape == [6, 4])
    #expect(after.parameterCount == 24)
    #expect(after.nodes.filter { $0.opType != "Constant" }.map(\.opType) == ["MatMul"])
    let x = normal([3, 6], seed: 2)
    #expect(try answers(after, x) == answers(before, x))
    #expect(after.foldingWeights() == after)
  }

  /// What others read too stays once: a table that a product reads transposed is not there twice.
  @Test func sharedTablesAreNotCopied() throws {
    var model = graph(
      [
        Node("Gather", name: "", inputs: ["table", "i"], outputs: ["rows"]),
        Node("Transpose", name: "", inputs: ["table"], outputs: ["w"]),
        Node("MatMul", name: "", inputs: ["rows", "w"], outputs: ["y"]),
      ], ["table": .float32(normal([2000, 6]))])
    model.inputs = [ValueInfo("i", .int64, [.symbolic("N")])]
    model.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(2000)])]
    #expect(model.foldingWeights() == model)
  }

  /// x through the given nodes, twice, in a loop; they read `s` and write `t`.
  private func loop(
    _ nodes: [Node], _ inner: OrderedDictionary<String, AnyTensor> = [:], before: [Node] = [],
    _ initializers: OrderedDictionary<String, AnyTensor> = [:]
  ) -> Graph {
    let rows = [Dimension.symbolic("N"), .fixed(6)]
    let body = Graph(
      name: "body", nodes: nodes + [Node("Identity", name: "", inputs: ["c"], outputs: ["d"])],
      initializers: inner,
      inputs: [
        ValueInfo("i", .int64, []), ValueInfo("c", .bool, []), ValueInfo("s", .float32, rows),
      ], outputs: [ValueInfo("d", .bool, []), ValueInfo("t", .float32, rows)])
    var outer = initializers
    outer["n"] = .int64(Tensor([], [2]))
    var result = graph(
      before + [
        Node(
          "Loop", name: "", inputs: ["n", "", "x"], outputs: ["y"],
          attributes: ["body": .graph(body)])
      ], outer)
    result.outputs = [ValueInfo("y", .float32, rows)]
    return result
  }

  private func body(_ graph: Graph) throws -> Graph {
    guard case .graph(let body)? = try #require(graph.nodes.last).attributes["body"] else {
      throw SwiftletError(.badInput, "there is no body")
    }
    return body
  }

  /// Weights that are made inside a body, of constants there or of those around it.
  @Test(arguments: ["constant", "transposed", "around", "captured", "handed on", "named twice"])
  func weightsOfInnerGraphs(way: String) throws {
    let w = normal([6, 6])
    let product = Node("MatMul", name: "", inputs: ["s", "w"], outputs: ["t"])
    let turn = Node("Transpose", name: "", inputs: ["v"], outputs: ["w"])
    let before: Graph
    switch way {
    case "transposed": before = loop([constant("v", .float32(w)), turn, product])
    case "around": before = loop([turn, product], before: [], ["v": .float32(w)])
    case "captured": before = loop([product], before: [constant("w", .float32(w))])
    case "handed on":
      before = loop(
        [product], before: [Node("Identity", name: "", inputs: ["v"], outputs: ["w"])],
        ["v": .float32(w)])
    case "named twice":
      // The body has a value of its own that is called as the constant around it.
      before = loop(
        [
          Node("MatMul", name: "", inputs: ["s", "w"], outputs: ["v"]),
          Node("Tanh", name: "", inputs: ["v"], outputs: ["t"]),
        ], before: [Node("Identity", name: "", inputs: ["v"], outputs: ["w"])],
        ["v": .float32(w)])
    default: before = loop([constant("w", .float32(w)), product])
    }
    let after = before.foldingWeights()
    let inner = try body(after)
    let layer = try #require(inner.nodes.first { $0.opType == "MatMul" })
    let weights = inner.initializers[layer.inputs[1]] ?? after.initializers[layer.inputs[1]]
    #expect(weights?.shape == [6, 6])
    #expect(inner.nodes.count == (way == "named twice" ? 3 : 2))
    #expect(after.nodes.count == 1)
    // Once only, there or here.
    #expect(inner.weightByteCount + after.weightByteCount == 4 * 36 + 8)
    let x = normal([3, 6], seed: 2)
    #expect(try answers(after, x) == answers(before, x))
    #expect(after.foldingWeights() == after)
  }

  /// A constant that a value of the body hides is another one.
  @Test func hiddenConstantsAreNotFolded() throws {
    let before = loop(
      [
        Node("Tanh", name: "", inputs: ["s"], outputs: ["v"]),
        Node("Transpose", name: "", inputs: ["v"], outputs: ["u"]),
        Node("MatMul", name: "", inputs: ["s", "u"], outputs: ["q"]),
        Node("MatMul", name: "", inputs: ["q", "v"], outputs: ["t"]),
      ], before: [Node("MatMul", name: "", inputs: ["x", "v"], outputs: ["other"])],
      ["v": .float32(normal([6, 6]))])
    #expect(before.foldingWeights() == before)
  }

  /// Factors of layers in a body are part of their weights, whose new names are none of those
  /// around it.
  @Test func factorsOfInnerGemm() throws {
    let gemm = { (bias: String, output: String) in
      Node(
        "Gemm", name: "", inputs: ["s", "w", bias], outputs: [output],
        attributes: ["beta": .float(0.5)])
    }
    let before = loop(
      [
        gemm("b", "p"), gemm("b", "q"),
        Node("Add", name: "", inputs: ["p", "q"], outputs: ["r"]),
        Node("Add", name: "", inputs: ["r", "b_folded"], outputs: ["t"]),
      ], ["w": .float32(normal([6, 6])), "b": .float32(normal([6], seed: 3))],
      ["b_folded": .float32(normal([6], seed: 4))])
    let after = before.foldingWeights()
    let inner = try body(after)
    #expect(inner.nodes.allSatisfy { $0.attributes["beta"] == nil })
    #expect(inner.initializers["b_folded"] == nil)
    let x = normal([3, 6], seed: 2)
    for (a, b) in zip(try answers(before, x), try answers(after, x)) {
      #expect(abs(a - b) < Float(1e-5) * max(1, abs(b)))
    }
  }

  /// Nothing is folded that is an answer or random; and constants of other types stay.
  @Test func othersStay() {
    let w = AnyTensor.float32(normal([6, 4]))
    let answered = graph([
      constant("y", w), constant("n", .int64(Tensor([1], [3]))),
      Node(
        "RandomNormal", name: "", inputs: [], outputs: ["r"], attributes: ["shape": .ints([2, 2])]),
    ])
    #expect(answered.foldingWeights() == answered)
  }

  /// alpha and beta are parts of weights and bias; one number is a bias for every output.
  @Test(arguments: [0, 1, 2], [1, 4])
  func factorsOfGemm(transB: Int, addends: Int) throws {
    let w = normal(transB == 0 ? [6, 4] : [4, 6])
    let before = graph(
      [
        Node(
          "Gemm", name: "", inputs: ["x", "w", "b"], outputs: ["y"],
          attributes: ["alpha": .float(0.5), "beta": .float(-2), "transB": .int(transB)])
      ], ["w": .float32(w), "b": .float32(normal([addends], seed: 4))])
    let after = before.foldingWeights()
    #expect(after.nodes[0].attributes["alpha"] == nil && after.nodes[0].attributes["beta"] == nil)
    #expect(after.initializers["b"]?.shape == [4])
    let x = normal([3, 6], seed: 2)
    for (a, b) in zip(try answers(before, x), try answers(after, x)) {
      #expect(abs(a - b) < Float(1e-5))
    }
  }

  /// Codes of 8 bits stay codes, with a zero point or without: they are weights only once the model
  /// runs.
  @Test(arguments: ["Mul", "Div"], [false, true])
  func codesStay(last: String, hasZero: Bool) throws {
    var generator = RandomGenerator(seed: 3)
    let codes = Tensor<Int8>([6, 4], (0..<24).map { _ in Int8(generator.below(200) - 100) })
    let steps =
      [
        Node("Cast", name: "", inputs: ["q"], outputs: ["c"], attributes: ["to": .int(1)]),
        Node("Sub", name: "", inputs: ["c", "z"], outputs: ["d"]),
      ].prefix(hasZero ? 2 : 1)
      + [Node(last, name: "", inputs: [hasZero ? "d" : "c", "s"], outputs: ["w"])]
    let before = graph(
      steps + [Node("MatMul", name: "", inputs: ["x", "w"], outputs: ["y"])],
      [
        "q": .int8(codes), "z": .float32(Tensor([1, 4], [3, -2, 0, 1])),
        "s": .float32(Tensor([1, 4], [0.5, 2, 0.25, 4])),
      ])
    #expect(before.scaledCodes.map(\.nodes) == [Array(steps)])
    #expect(before.foldingWeights() == before)
    let restored = before.restoringWeights()
    #expect(restored.nodes.map(\.opType) == ["MatMul"])
    let x = normal([3, 6], seed: 2)
    #expect(try answers(restored, x) == answers(before, x))
    let zeros: [Float] = hasZero ? [3, -2, 0, 1] : [0, 0, 0, 0]
    let scales: [Float] = last == "Mul" ? [0.5, 2, 0.25, 4] : [2, 0.5, 4, 0.25]
    let weights: Tensor<Float> = try restored.weight(restored.nodes[0].inputs[1])
    for (place, code) in codes.elements.enumerated() {
      #expect(weights.elements[place] == (Float(code) - zeros[place % 4]) * scales[place % 4])
    }
  }
}
