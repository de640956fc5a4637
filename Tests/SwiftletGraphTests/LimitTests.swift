// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// What a run may take: memory for all values together, steps of inner graphs. The limits are
/// those of the process, so these tests take turns.
@Suite(.serialized) struct LimitTests {
  private func expectRefusal(
    _ fragment: String, _ codes: [SwiftletError.Code] = [.badInput],
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
  ) {
    let error = #expect(throws: SwiftletError.self, sourceLocation: sourceLocation) { try body() }
    #expect(error.map { codes.contains($0.code) } == true, sourceLocation: sourceLocation)
    #expect(
      error?.description.contains(fragment) == true, "\(String(describing: error))",
      sourceLocation: sourceLocation)
  }

  /// Every node doubles the length: 2^count times two floats at the end.
  private func doubling(_ count: Int) -> Graph {
    Graph(
      name: "doubling",
      nodes: (0..<count).map {
        Node(
          "Concat", name: "c\($0)", inputs: ["v\($0)", "v\($0)"], outputs: ["v\($0 + 1)"],
          attributes: ["axis": .int(0)])
      },
      inputs: [ValueInfo("v0", .float32, [.fixed(2)])],
      outputs: [ValueInfo("v\(count)", .float32, [.symbolic("")])])
  }

  private let pair: [String: AnyTensor] = ["v0": .float32(Tensor([2], [1, 2]))]

  @Test func doublingIsRefusedBeforeMemoryIsSought() throws {
    for count in [31, 40, 62, 100] {
      // Larger than any value may be, or than the limit: whichever is less on this machine.
      expectRefusal("more than", [.badInput, .outOfMemory]) {
        _ = try Interpreter(doubling(count)).run(pair, ExecutionContext())
      }
    }
    let result = try Interpreter(doubling(4)).run(pair, ExecutionContext())
    #expect(result["v4"]?.shape == [32])
  }

  /// Values of 1 GiB that are all alive at the sum: each fits, together they do not.
  @Test func valuesTogetherAreCounted() throws {
    let count = MemoryLimit.standard / (1 << 30) + 2
    var graph = Graph(
      name: "wide",
      nodes: (0..<count).map {
        Node("ConstantOfShape", name: "c\($0)", inputs: ["n"], outputs: ["v\($0)"])
      })
    graph.nodes.append(
      Node("Sum", name: "s", inputs: (0..<count).map { "v\($0)" }, outputs: ["y"]))
    graph.initializers = ["n": .int64(Tensor([1], [1 << 28]))]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("")])]
    expectRefusal("values of the run", [.outOfMemory]) {
      _ = try Interpreter(graph).run([:], ExecutionContext())
    }
  }

  /// A condition inside of a condition …, known or not before the run.
  private func nested(_ depth: Int) -> Graph {
    var inner = Graph(
      name: "inner", nodes: [Node("Neg", name: "n", inputs: ["x"], outputs: ["b"])],
      outputs: [ValueInfo("b", .float32, [.fixed(1)])])
    for _ in 0..<depth {
      let other = Graph(
        name: "other", nodes: [Node("Abs", name: "a", inputs: ["x"], outputs: ["b"])],
        outputs: [ValueInfo("b", .float32, [.fixed(1)])])
      inner = Graph(
        name: "inner",
        nodes: [
          Node(
            "If", name: "i", inputs: ["c"], outputs: ["b"],
            attributes: ["then_branch": .graph(inner), "else_branch": .graph(other)])
        ],
        outputs: [ValueInfo("b", .float32, [.fixed(1)])])
    }
    inner.initializers = ["x": .float32(Tensor([1], [2])), "c": .bool(Tensor([], [true]))]
    return inner
  }

  @Test func nestedBranchesEndSoon() throws {
    let result = try Interpreter(nested(3)).run([:], ExecutionContext())
    #expect(result["b"] == .float32(Tensor([1], [-2])))
    expectRefusal("steps") { _ = try Interpreter(nested(40)).run([:], ExecutionContext()) }
  }

  @Test func symbolsStandForOneExtent() throws {
    let graph = Graph(
      name: "two",
      nodes: [
        Node(
          "Concat", name: "c", inputs: ["a", "b"], outputs: ["y"], attributes: ["axis": .int(0)])
      ],
      inputs: [
        ValueInfo("a", .float32, [.symbolic("N"), .symbolic("")]),
        ValueInfo("b", .float32, [.symbolic("N"), .symbolic("")]),
      ],
      outputs: [ValueInfo("y", .float32, [.symbolic("M"), .symbolic("")])])
    let interpreter = try Interpreter(graph)
    func run(_ a: Shape, _ b: Shape) throws {
      _ = try interpreter.run(
        ["a": .float32(Tensor(zeros: a)), "b": .float32(Tensor(zeros: b))], ExecutionContext())
    }
    try run([2, 3], [2, 3])
    expectRefusal("'N' is 3 in input 'b' and 2 in 'a'") { try run([2, 3], [3, 3]) }
  }

  @Test func outputsAreOfTheirDeclaredType() throws {
    let graph = Graph(
      name: "typed", nodes: [Node("Neg", name: "n", inputs: ["v0"], outputs: ["y"])],
      inputs: [ValueInfo("v0", .float32, [.fixed(2)])],
      outputs: [ValueInfo("y", .int64, [.fixed(2)])])
    expectRefusal("declares int64") { _ = try Interpreter(graph).run(pair, ExecutionContext()) }
  }
}
