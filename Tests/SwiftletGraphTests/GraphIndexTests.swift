// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Who writes and who reads each value, also after changes.
struct GraphIndexTests {
  /// x → a → y, and b, which reads a twice.
  private static let graph = Graph(
    name: "g",
    nodes: [
      Node("Relu", name: "first", inputs: ["x"], outputs: ["a"]),
      Node("Add", name: "twice", inputs: ["a", "a"], outputs: ["b"]),
      Node("Mul", name: "last", inputs: ["b", "x"], outputs: ["y"]),
    ],
    inputs: [ValueInfo("x", .float32, [.fixed(2)])], outputs: [ValueInfo("y", .float32, [])])

  @Test func readersAndWriters() {
    let graph = Self.graph
    #expect(graph.producer(of: "a") == 0)
    #expect(graph.producer(of: "x") == nil)
    #expect(graph.consumers(of: "x") == [0, 2])
    #expect(graph.consumers(of: "a") == [1])
    #expect(graph.consumers(of: "y") == [])
    #expect(graph.consumers(of: "") == [])
  }

  @Test func onlyReaders() {
    var graph = Self.graph
    #expect(graph.onlyReader(of: "a") == 1)
    #expect(graph.onlyReader(of: "b") == 2)
    #expect(graph.onlyReader(of: "x") == nil)
    #expect(graph.onlyReader(of: "y") == nil)
    #expect(graph.isOutput("y") && !graph.isOutput("b"))
    // The caller is a reader too.
    graph.outputs.append(ValueInfo("b", .float32, []))
    #expect(graph.onlyReader(of: "b") == nil)
  }

  @Test func changesOfOneCopy() {
    let original = Self.graph
    #expect(original.onlyReader(of: "a") == 1)
    var changed = original
    changed.nodes[2].inputs = ["a", "b"]
    #expect(changed.consumers(of: "a") == [1, 2])
    #expect(original.consumers(of: "a") == [1])
    changed.replaceNode(at: 0, with: [])
    #expect(changed.producer(of: "a") == nil)
    #expect(changed.consumers(of: "a") == [0, 1])
  }

  /// A node reads what its subgraphs take from the graph around them.
  @Test func readersWithSubgraphs() {
    let inner = Graph(
      name: "then", nodes: [Node("Neg", name: "", inputs: ["a"], outputs: ["z"])],
      outputs: [ValueInfo("z", .float32, [])])
    var graph = Self.graph
    graph.nodes.append(
      Node(
        "If", name: "if", inputs: ["c"], outputs: ["w"],
        attributes: ["then_branch": .graph(inner), "else_branch": .graph(inner)]))
    #expect(graph.consumers(of: "a") == [1, 3])
    #expect(graph.onlyReader(of: "a") == nil)
  }
}
