// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Operators that exporters spell out, and graphs that only look like them.
struct FusionTests {
  private let queries = 9, heads = 3, depth = 5
  private var channels: Int { heads * depth }

  /// - Returns: What the session's steps compute.
  @discardableResult
  private func check(
    _ graph: Graph, _ inputs: [String: AnyTensor], tolerance: Float = 1e-5,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [Computation.Kind] {
    try computationsOfSessions(
      graph, inputs, agree: { difference($0, $1) <= tolerance }, sourceLocation: sourceLocation
    ).last!
  }

  /// The scores' factor, and where it stands.
  enum Scale: CaseIterable { case divided, multiplied, onBothSides, none }

  enum Mask: CaseIterable { case none, constant, constantForEachQuery, perImage, perImageAndQuery }

  /// Three projections, heads, scores, softmax, values, joined: self-attention as it is exported.
  private func attention(_ scale: Scale, _ mask: Mask) -> Graph {
    var constants: OrderedDictionary<String, AnyTensor> = [
      "two": scalar(2.25), "half": scalar(0.4), "root": .float32(Tensor([1], [0.6])),
      "split": .int64(Tensor([4], [0, -1, Int64(heads), Int64(depth)])),
      "join": .int64(Tensor([3], [0, 0, Int64(channels)])),
      "row": floats([1, 1, 1, queries], seed: 11), "table": floats([queries, queries], seed: 12),
    ]
    var nodes: [Node] = []
    for (seed, name) in ["q", "k", "v"].enumerated() {
      constants["w\(name)"] = floats([channels, channels], seed: UInt64(seed))
      nodes += [
        node("MatMul", ["x", "w\(name)"], "\(name)1"),
        node("Reshape", ["\(name)1", "split"], "\(name)2"),
        node("Transpose", ["\(name)2"], name, ["perm": .ints([0, 2, 1, 3])]),
      ]
    }
    nodes.append(node("Transpose", ["k"], "kt", ["perm": .ints([0, 1, 3, 2])]))
    var scores = "s"
    if scale == .onBothSides {
      nodes += [
        node("Mul", ["q", "root"], "qs"), node("Mul", ["root", "kt"], "ks"),
        node("MatMul", ["qs", "ks"], "s"),
      ]
    } else {
      nodes.append(node("MatMul", ["q", "kt"], "s"))
      if scale != .none {
        nodes.append(
          scale == .divided ? node("Div", ["s", "two"], "sc") : node("Mul", ["half", "s"], "sc"))
        scores = "sc"
      }
    }
    var inputs = [value("x", .float32, .symbolic("N"), .fixed(queries), .fixed(channels))]
    if mask != .none {
      let names: [Mask: String] = [.constant: "row", .constantForEachQuery: "table"]
      let name = names[mask] ?? "m"
      if name == "m" {
        let rows: Dimension = .fixed(mask == .perImage ? 1 : queries)
        inputs.append(value("m", .float32, .symbolic("N"), .fixed(1), rows, .fixed(queries)))
      }
      nodes.append(node("Add", [scores, name], "sm"))
      scores = "sm"
    }
    nodes += [
      node("Softmax", [scores], "p", ["axis": .int(-1)]), node("MatMul", ["p", "v"], "o"),
      node("Transpose", ["o"], "ot", ["perm": .ints([0, 2, 1, 3])]),
      node("Reshape", ["ot", "join"], "or"), node("MatMul", ["or", "wq"], "y"),
    ]
    return model(
      inputs, nodes, constants,
      outputs: [value("y", .float32, .symbolic("N"), .symbolic("S"), .symbolic("C"))])
  }

  @Test(arguments: Scale.allCases, Mask.allCases)
  func spelledAttention(scale: Scale, mask: Mask) throws {
    let graph = attention(scale, mask)
    for batch in [1, 3] {
      var inputs = ["x": floats([batch, queries, channels])]
      if mask == .perImage { inputs["m"] = floats([batch, 1, 1, queries], seed: 5) }
      if mask == .perImageAndQuery { inputs["m"] = floats([batch, 1, queries, queries], seed: 6) }
      let kinds = try check(graph, inputs)
      #expect(kinds.contains(.attention))
      #expect(!kinds.contains(.reference), "\(kinds)")
    }
  }

  /// Scores that are shown are computed on their own.
  @Test func attentionWhoseScoresAreRead() throws {
    var graph = attention(.divided, .constant)
    graph.outputs.append(
      value("p", .float32, .symbolic("N"), .fixed(heads), .fixed(queries), .fixed(queries)))
    let kinds = try check(graph, ["x": floats([2, queries, channels])])
    #expect(!kinds.contains(.attention))
  }

  /// A softmax over queries, heads that are split in another order, values that are scaled.
  @Test(arguments: 0..<3)
  func whatOnlyLooksLikeAttention(variant: Int) throws {
    var graph = attention(.multiplied, .none)
    func change(_ name: String, _ body: (inout Node) -> Void) {
      body(&graph.nodes[graph.nodes.firstIndex { $0.name == name }!])
    }
    switch variant {
    case 0: change("p") { $0.attributes["axis"] = .int(2) }
    case 1:
      graph.initializers["split"] = .int64(Tensor([4], [0, Int64(heads), -1, Int64(depth)]))
      for name in ["q", "k", "v"] { change(name) { $0.attributes["perm"] = .ints([0, 1, 2, 3]) } }
      graph.initializers["join"] = .int64(Tensor([3], [0, -1, Int64(channels)]))
    default:
      graph.nodes.insert(
        node("Mul", ["v", "half"], "vs"), at: graph.nodes.firstIndex { $0.name == "o" }!)
      change("o") { $0.inputs[1] = "vs" }
    }
    let kinds = try check(graph, ["x": floats([2, queries, channels])])
    #expect(!kinds.contains(.attention))
  }

  /// ONNX's own operator, more keys than a panel, more queries than a block.
  @Test(arguments: [1, 40, 300], [false, true])
  func attentionOfAnyLength(length: Int, isCausal: Bool) throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(length), .fixed(8))],
      [
        node("MatMul", ["x", "w"], "q"), node("MatMul", ["x", "u"], "v"),
        node(
          "Attention", ["q", "x", "v"], "a",
          ["q_num_heads": .int(2), "kv_num_heads": .int(2), "is_causal": .int(isCausal ? 1 : 0)]),
        node("MatMul", ["a", "z"], "y"),
      ],
      ["w": floats([8, 8]), "u": floats([8, 66], seed: 2), "z": floats([66, 3], seed: 3)],
      outputs: [value("y", .float32, .symbolic("N"), .symbolic("S"), .symbolic("C"))])
    let kinds = try check(graph, ["x": floats([2, length, 8])])
    #expect(kinds.contains(.attention))
  }

  /// Keys that are forbidden, all of them for one query.
  @Test func forbiddenKeys() throws {
    var mask = [Float](repeating: 0, count: 16)
    for place in [1, 2, 4, 5, 6, 7, 11] { mask[place] = -.infinity }
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(4), .fixed(6))],
      [
        node("MatMul", ["x", "w"], "q"),
        node(
          "Attention", ["q", "x", "x", "mask"], "a",
          ["q_num_heads": .int(2), "kv_num_heads": .int(2)]), node("MatMul", ["a", "w"], "y"),
      ], ["w": floats([6, 6]), "mask": .float32(Tensor([4, 4], mask))],
      outputs: [value("y", .float32, .symbolic("N"), .symbolic("S"), .symbolic("C"))])
    #expect(try check(graph, ["x": floats([3, 4, 6])]).contains(.attention))
  }

  private func between(_ nodes: [Node], _ constants: OrderedDictionary<String, AnyTensor>) -> Graph
  {
    var all = constants
    all["w"] = floats([6, 16], seed: 3)
    all["u"] = floats([16, 4], seed: 4)
    return model(
      [value("x", .float32, .symbolic("N"), .fixed(5), .fixed(6))],
      [node("MatMul", ["x", "w"], "a")] + nodes + [node("MatMul", ["f", "u"], "y")], all,
      outputs: [value("y", .float32, .symbolic("N"), .symbolic("S"), .symbolic("C"))])
  }

  /// Before operator set 17 and after.
  @Test(arguments: [false, true], [false, true])
  func spelledNormalization(hasProducts: Bool, hasShift: Bool) throws {
    let last = hasShift ? "g" : "f"
    var nodes = [
      node("ReduceMean", ["a"], "m", ["axes": .ints([-1])]), node("Sub", ["a", "m"], "d"),
      hasProducts ? node("Mul", ["d", "d"], "s") : node("Pow", ["d", "two"], "s"),
      node("ReduceMean", ["s"], "v", ["axes": .ints([2])]), node("Add", ["v", "epsilon"], "e"),
      node("Sqrt", ["e"], "r"), node("Div", ["d", "r"], "n"), node("Mul", ["n", "gamma"], last),
    ]
    if hasShift { nodes.append(node("Add", ["beta", "g"], "f")) }
    let graph = between(
      nodes,
      [
        "two": scalar(2), "epsilon": scalar(1e-5), "gamma": floats([16], seed: 8),
        "beta": floats([16], seed: 9),
      ])
    let kinds = try check(graph, ["x": floats([2, 5, 6])])
    #expect(kinds.contains(.normalize))
    #expect(!kinds.contains(.reference))
  }

  /// Spellings that are in use become one layer between the products.
  @Test(arguments: [
    ["Div a r b", "Erf b c", "Add c 1 d", "Mul a d e", "Mul e h f"],
    ["Mul a h b", "Div a r c", "Erf c d", "Add 1 d e", "Mul b e f"],
    [
      "Mul a a b", "Mul b a c", "Mul c k d", "Add a d e", "Mul e p g", "Tanh g i", "Add i 1 j",
      "Mul h a l", "Mul l j f",
    ],
    ["Sigmoid a b", "Mul a b f"],
    ["Neg a b", "Exp b c", "Add c 1 d", "Div a d f"],
    ["Neg a b", "Exp b c", "Add c 1 d", "Div 1 d f"],
    ["Add a 3 b", "Clip b 0 6 c", "Mul a c d", "Div d 6 f"],
    ["Softplus a b", "Tanh b c", "Mul a c f"],
  ])
  func spelledCurve(nodes: [String]) throws {
    let kinds = try check(between(nodes.map(parsed), Self.numbers), ["x": floats([2, 5, 6])])
    #expect(kinds.count { $0 == .activate } == 1 && kinds.count == 5, "\(kinds)")
  }

  /// Other functions stay what they are: a swish that is twice as steep, a Gelu of twice the
  /// number.
  @Test(arguments: [
    ["Add a a b", "Sigmoid b c", "Mul a c f"],
    ["Add a a b", "Div b r c", "Erf c d", "Add d 1 e", "Mul a e g", "Mul g h f"],
    ["Sigmoid a b", "Mul a b c", "Add c a f"],
  ])
  func otherCurves(nodes: [String]) throws {
    try check(between(nodes.map(parsed), Self.numbers), ["x": floats([2, 5, 6])])
  }

  private static let numbers: OrderedDictionary<String, AnyTensor> = [
    "1": scalar(1), "r": scalar(1.414_213_5), "h": scalar(0.5), "k": scalar(0.044715),
    "p": scalar(0.797_884_56), "3": scalar(3), "0": scalar(0), "6": .float32(Tensor([], [6])),
  ]

  /// The operator, its inputs and its result.
  private func parsed(_ line: String) -> Node {
    let words = line.split(separator: " ").map(String.init)
    return node(words[0], Array(words[1..<words.count - 1]), words.last!)
  }
}
