// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

struct OperatorSetTests {
  private func graph(_ opset: Int, _ nodes: [Node], rank: Int = 4) -> Graph {
    var graph = Graph(name: "old", opset: opset)
    graph.inputs = [
      ValueInfo("x", .float32, [2, 6, 3, 2].prefix(rank).map(Dimension.fixed))
    ]
    graph.outputs = [ValueInfo("y", .float32, (0..<rank).map { .symbolic("d\($0)") })]
    graph.nodes = nodes
    return graph
  }

  private func run(_ graph: Graph) throws -> AnyTensor {
    var generator = RandomGenerator(seed: 5)
    let x = Tensor<Float>(
      try graph.inputs[0].shape(batch: 1), normalUsing: &generator)
    return try Interpreter(graph).run(["x": .float32(x)], ExecutionContext())["y"]!
  }

  private func node(
    _ opType: String, _ input: String, _ output: String, _ attributes: [String: Attribute]
  ) -> Node {
    Node(opType, name: output, inputs: [input], outputs: [output], attributes: attributes)
  }

  @Test(arguments: [13, 21])
  func whatWasAnAttributeBecomesAnInput(target: Int) throws {
    let old = graph(
      9,
      [
        node("Clip", "x", "a", ["min": .float(-0.5), "max": .float(1)]),
        node("Pad", "a", "b", ["pads": .ints([0, 0, 1, 0, 0, 0, 0, 1]), "value": .float(0.25)]),
        node(
          "Slice", "b", "c",
          ["starts": .ints([1, 0]), "ends": .ints([6, 3]), "axes": .ints([1, 2])]),
        node("Unsqueeze", "c", "d", ["axes": .ints([0])]),
        node("Squeeze", "d", "e", ["axes": .ints([0])]),
        node("ReduceMean", "e", "f", ["axes": .ints([3])]),
        node("Softmax", "f", "g", ["axis": .int(2)]),
        node("Dropout", "g", "y", ["ratio": .float(0.5)]),
      ])
    let new = try old.upgraded(toOpset: target)
    #expect(new.opset == target)
    #expect(try run(new) == run(old))
    #expect(
      new.nodes.allSatisfy { node in
        ["min", "pads", "starts", "ratio"].allSatisfy { node.attributes[$0] == nil }
      })
    let isNewer = target >= 18
    #expect(
      (new.nodes.first { $0.opType == "ReduceMean" }?.attributes["axes"] == nil) == isNewer)
  }

  @Test func piecesAreCountedAnew() throws {
    var old = graph(
      11,
      [
        Node(
          "Split", name: "s", inputs: ["x"], outputs: ["a", "b"], attributes: ["axis": .int(1)]),
        Node(
          "Concat", name: "c", inputs: ["b", "a"], outputs: ["y"], attributes: ["axis": .int(1)]),
      ])
    #expect(try run(old.upgraded(toOpset: 21)) == run(old))
    old.nodes[0].attributes["split"] = .ints([1, 5])
    #expect(try run(old.upgraded(toOpset: 21)) == run(old))
  }

  /// With a known rank the last axis stays one operator.
  @Test func softmaxStaysWholeWhereItCan() throws {
    let old = graph(11, [node("Softmax", "x", "y", [:])], rank: 2)
    let new = try old.upgraded(toOpset: 13, ranks: ["x": 2])
    #expect(new.nodes.map(\.opType) == ["Softmax"])
    #expect(try run(new) == run(old))
    #expect(try old.upgraded(toOpset: 13).nodes.count == 4)
    #expect(try run(old.upgraded(toOpset: 13)) == run(old))
  }

  @Test func whatCannotBeKeptIsRefused() throws {
    let mask = graph(
      7, [Node("Dropout", name: "d", inputs: ["x"], outputs: ["y", "mask"])])
    let group = graph(
      18,
      [
        Node("GroupNormalization", name: "g", inputs: ["x", "s", "b"], outputs: ["y"])
      ])
    for (graph, fragment) in [(mask, "Dropout"), (group, "GroupNormalization")] {
      let error = #expect(throws: SwiftletError.self) { try graph.upgraded(toOpset: 21) }
      #expect(error?.code == .unsupported)
      #expect(error?.description.contains(fragment) == true)
    }
    let new = graph(21, [node("Relu", "x", "y", [:])])
    #expect(try new.upgraded(toOpset: 13) == new)
  }
}
