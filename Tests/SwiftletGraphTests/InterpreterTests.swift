// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

struct InterpreterTests {
  /// y = relu(x) + x, where relu must not write over the x that is read again.
  private var residual: Graph {
    Graph(
      name: "residual",
      nodes: [
        Node("Relu", name: "r", inputs: ["x"], outputs: ["h"]),
        Node("Add", name: "a", inputs: ["h", "x"], outputs: ["y"]),
      ],
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(2)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(2)])])
  }

  private let input = AnyTensor.float32(Tensor([2, 2], [1, -2, -3, 4]))

  @Test func valuesThatAreReadAgainAreKept() throws {
    let result = try Interpreter(residual).run(["x": input], ExecutionContext())
    #expect(result["y"] == .float32(Tensor([2, 2], [2, -2, -3, 8])))
    #expect(input == .float32(Tensor([2, 2], [1, -2, -3, 4])))
  }

  @Test func intermediateValuesCanBeOutputs() throws {
    var graph = residual
    graph.outputs.append(ValueInfo("h", .float32, [.symbolic("N"), .fixed(2)]))
    let result = try Interpreter(graph).run(["x": input], ExecutionContext())
    #expect(result["h"] == .float32(Tensor([2, 2], [1, 0, 0, 4])))
    #expect(result["y"] == .float32(Tensor([2, 2], [2, -2, -3, 8])))
  }

  @Test func observersSeeEveryValue() throws {
    var seen: [String] = []
    _ = try Interpreter(residual).run(["x": input], ExecutionContext()) { name, _ in seen.append(name) }
    #expect(seen == ["h", "y"])
  }

  @Test func wrongInputsAreNamed() throws {
    let interpreter = try Interpreter(residual)
    func expectRefusal(_ inputs: [String: AnyTensor], _ fragment: String) {
      let error = #expect(throws: SwiftletError.self) { try interpreter.run(inputs, ExecutionContext()) }
      #expect(error?.description.contains(fragment) == true, "\(String(describing: error))")
    }
    expectRefusal([:], "input 'x' is missing")
    expectRefusal(["x": input, "z": input], "no input 'z'")
    expectRefusal(["x": .float32(Tensor(zeros: [2, 3]))], "expected float32 N×2")
    expectRefusal(["x": .float64(Tensor(zeros: [2, 2]))], "is float64")
    expectRefusal(["x": .float32(Tensor(zeros: [2]))], "expected float32 N×2")
  }

  @Test func brokenGraphsAreRefused() {
    func expectRefusal(_ change: (inout Graph) -> Void, _ fragment: String) {
      var graph = residual
      change(&graph)
      let error = #expect(throws: SwiftletError.self) { try Interpreter(graph) }
      #expect(error?.description.contains(fragment) == true, "\(String(describing: error))")
    }
    expectRefusal({ $0.nodes.reverse() }, "no earlier node writes input")
    expectRefusal({ $0.nodes[1].outputs = ["h"] }, "written twice")
    expectRefusal({ $0.outputs[0].name = "z" }, "no node writes output 'z'")
    expectRefusal({ $0.nodes[0].opType = "Foo" }, "operator Foo is not supported")
    expectRefusal({ $0.nodes[1].outputs = [] }, "no output")
    expectRefusal({ $0.nodes[1].outputs = [""] }, "no output")
    expectRefusal({ $0.outputs.append($0.outputs[0]) }, "same name")
    expectRefusal(
      {
        $0.nodes[0].opType = "Foo"
        $0.nodes[1].opType = "Bar"
      }, "Foo 'r', Bar 'a'")
  }

  /// A model may claim what it likes: sizes that no machine has are refused, not tried.
  @Test func enormousValuesAreRefused() throws {
    for extents in [[1 << 40, 1], [1 << 31, 1 << 31], [Int.max, 2]] {
      var graph = residual
      graph.inputs[0].dimensions = extents.map(Dimension.fixed)
      let interpreter = try Interpreter(graph)
      #expect(throws: SwiftletError.self) { try interpreter.inputShapes(batch: 1) }
    }
    var graph = residual
    graph.nodes = [
      Node(
        "MaxPool", name: "p", inputs: ["x"], outputs: ["y"],
        attributes: ["kernel_shape": .ints([1, 1]), "pads": .ints([0, 1 << 20, 0, 1 << 20])])
    ]
    graph.inputs[0].dimensions = [1, 1, 1 << 31, 1].map(Dimension.fixed)
    let interpreter = try Interpreter(graph)
    #expect(throws: SwiftletError.self) { try interpreter.infer(interpreter.inputShapes(batch: 1)) }
  }

  @Test func outputsThatTheOperatorDoesNotHaveAreRefused() throws {
    var graph = residual
    graph.nodes[1].outputs.append("z")
    graph.outputs.append(ValueInfo("z", .float32, [.symbolic("N"), .fixed(2)]))
    let interpreter = try Interpreter(graph)
    #expect(throws: SwiftletError.self) { try interpreter.run(["x": input], ExecutionContext()) }
  }

  @Test func memoryAtTheWidestPlaceIsKnown() throws {
    let interpreter = try Interpreter(residual)
    let infos = try interpreter.infer(interpreter.inputShapes(batch: 3))
    // x and h and y live at the addition: three times 3×2 floats.
    #expect(interpreter.peakActivationBytes(infos) == 72)
  }

  @Test func freshNamesAreNew() {
    #expect(residual.freshName("q") == "q")
    #expect(residual.freshName("h") == "h_2")
  }

  /// Unknown operators, known ones with attributes that are not supported, and those of inner
  /// graphs.
  @Test func everyNodeThatCannotBeRunIsNamedAtOnce() throws {
    let branch = Attribute.graph(
      Graph(
        name: "b", nodes: [Node("Bar", name: "inner", inputs: [], outputs: ["z"])],
        outputs: [ValueInfo("z", .float32, [])]))
    let graph = Graph(
      name: "g",
      nodes: [
        Node("Foo", name: "first", inputs: ["x"], outputs: ["a"]),
        Node("Relu", name: "fine", inputs: ["a"], outputs: ["b"]),
        Node("Cast", name: "text", inputs: ["b"], outputs: ["c"], attributes: ["to": .int(8)]),
        Node(
          "If", name: "choice", inputs: ["x"], outputs: ["y"],
          attributes: ["then_branch": branch, "else_branch": branch]),
      ], inputs: [ValueInfo("x", .float32, [.fixed(1)])], outputs: [ValueInfo("y", .float32, [])])
    let error = #expect(throws: SwiftletError.self) { try Interpreter(graph) }
    #expect(error?.code == .unsupported)
    for name in ["Foo 'first'", "Cast 'text'", "If 'choice', Bar 'inner'"] {
      #expect(error?.description.contains(name) == true, "\(name)")
    }
    #expect(error?.description.contains("fine") == false)
    #expect(OperatorRegistry.refusals(in: graph).count == 4)
  }
}
