// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Models that compute shapes, or choose what to compute, in the graph.
struct ShapeArithmeticTests {
  private let context = ExecutionContext()

  /// x N×C×… → N×(C·…), by way of the shape of x, as exporters write it.
  private var flattening: Graph {
    Graph(
      name: "flatten",
      nodes: [
        Node("Shape", name: "shape", inputs: ["x"], outputs: ["s"]),
        Node("Gather", name: "batch", inputs: ["s", "zero"], outputs: ["n"]),
        Node(
          "Unsqueeze", name: "list", inputs: ["n"], outputs: ["n1"],
          attributes: ["axes": .ints([0])]),
        Node(
          "Concat", name: "target", inputs: ["n1", "rest"], outputs: ["t"],
          attributes: ["axis": .int(0)]),
        Node("Reshape", name: "reshape", inputs: ["x", "t"], outputs: ["y"]),
      ],
      initializers: ["zero": ints([], [0]), "rest": list(-1)],
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(2), .fixed(3)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(6)])], opset: 11)
  }

  @Test func shapesAreComputedAhead() throws {
    let interpreter = try Interpreter(flattening)
    let infos = try interpreter.infer(interpreter.inputShapes(batch: 4))
    #expect(infos["y"]?.shape == [4, 6])
    #expect(infos["t"]?.value == list(4, -1))
    #expect(try interpreter.macs(batch: 2) == [0, 0, 0, 0, 0])
    let result = try interpreter.run(["x": count([2, 2, 3])], context)
    #expect(result["y"] == count([2, 6]))
  }

  /// Relu says that its result is like its input, which is known here.
  @Test func whatIsKnownOfAnInputIsNotTakenForTheResult() throws {
    var graph = flattening
    graph.initializers["rest"] = floats([1], [-3])
    graph.initializers["six"] = floats([1], [6])
    graph.nodes.insert(
      contentsOf: [
        Node("Relu", name: "r", inputs: ["rest"], outputs: ["r"]),
        Node("Add", name: "a", inputs: ["r", "six"], outputs: ["a"]),
        Node("Cast", name: "c", inputs: ["a"], outputs: ["i"], attributes: ["to": .int(7)]),
      ], at: 0)
    graph.nodes[6].inputs[1] = "i"
    let interpreter = try Interpreter(graph)
    #expect(try interpreter.infer(interpreter.inputShapes(batch: 4))["y"]?.shape == [4, 6])
  }

  @Test func wrongShapesNameTheNode() throws {
    var graph = flattening
    graph.initializers["rest"] = list(4)
    let interpreter = try Interpreter(graph)
    let error = #expect(throws: SwiftletError.self) { try interpreter.infer(interpreter.inputShapes(batch: 1)) }
    #expect(error?.description.contains("Reshape 'reshape'") == true)
    graph = flattening
    graph.initializers["zero"] = ints([], [7])
    let other = try Interpreter(graph)
    let refusal = #expect(throws: SwiftletError.self) {
      try other.infer(other.inputShapes(batch: 1))
    }
    #expect(refusal?.description.contains("Gather 'batch'") == true)
  }

  /// The elements of x that are not zero, doubled.
  private var selecting: Graph {
    Graph(
      name: "select",
      nodes: [
        Node("NonZero", name: "places", inputs: ["x"], outputs: ["p"]),
        Node(
          "Transpose", name: "rows", inputs: ["p"], outputs: ["r"]),
        Node("GatherND", name: "take", inputs: ["x", "r"], outputs: ["v"]),
        Node("Add", name: "twice", inputs: ["v", "v"], outputs: ["y"]),
      ],
      inputs: [ValueInfo("x", .float32, [.symbolic("N")])],
      outputs: [ValueInfo("y", .float32, [.symbolic("M")])])
  }

  @Test func shapesThatDependOnDataAreCheckedWhileRunning() throws {
    let interpreter = try Interpreter(selecting)
    let result = try interpreter.run(["x": floats([4], [0, 3, 0, 5])], context)
    #expect(result["y"] == floats([2], [6, 10]))
    #expect(try interpreter.run(["x": floats([1], [0])], context)["y"] == floats([0], []))
    let error = #expect(throws: SwiftletError.self) { try interpreter.infer(interpreter.inputShapes(batch: 4)) }
    #expect(error?.code == .unsupported)
    #expect(error?.description.contains("NonZero 'places'") == true)
  }

  @Test func errorsAfterSuchShapesNameTheNode() throws {
    var graph = selecting
    graph.nodes[3].inputs[1] = "x"
    let interpreter = try Interpreter(graph)
    let error = #expect(throws: SwiftletError.self) {
      try interpreter.run(["x": floats([4], [0, 3, 1, 5])], context)
    }
    #expect(error?.description.contains("Add 'twice'") == true)
  }

  /// y = x + one, or the sum of x, as `flag` says.
  private func choosing(_ flag: AnyTensor?) -> Graph {
    var graph = Graph(
      name: "choose",
      nodes: [
        Node(
          "If", name: "if", inputs: ["flag"], outputs: ["y"],
          attributes: [
            "then_branch": .graph(
              Graph(
                name: "then",
                nodes: [Node("Add", name: "a", inputs: ["x", "one"], outputs: ["t"])],
                initializers: ["one": floats([], [1])],
                outputs: [ValueInfo("t", .float32, [.symbolic("N")])])),
            "else_branch": .graph(
              Graph(
                name: "else",
                nodes: [
                  Node("Identity", name: "i", inputs: ["x"], outputs: ["one"]),
                  Node("ReduceSum", name: "s", inputs: ["one", "axes"], outputs: ["t"]),
                ], outputs: [ValueInfo("t", .float32, [.fixed(1)])])),
          ])
      ],
      initializers: ["axes": list(0)],
      inputs: [ValueInfo("x", .float32, [.symbolic("N")])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N")])])
    if let flag {
      graph.initializers["flag"] = flag
    } else {
      graph.inputs.append(ValueInfo("flag", .bool, []))
    }
    return graph
  }

  @Test func aConditionChoosesABranch() throws {
    let x = floats([2], [1, 2])
    #expect(
      try Interpreter(choosing(bools([], [true]))).run(["x": x], context)["y"] == floats([2], [2, 3]))
    #expect(try Interpreter(choosing(bools([1], [false]))).run(["x": x], context)["y"] == floats([1], [3]))
    let interpreter = try Interpreter(choosing(nil))
    for (flag, expected) in [(true, floats([2], [2, 3])), (false, floats([1], [3]))] {
      #expect(try interpreter.run(["x": x, "flag": bools([], [flag])], context)["y"] == expected)
    }
    let known = try Interpreter(choosing(bools([], [false])))
    #expect(try known.infer(known.inputShapes(batch: 5))["y"]?.shape == [1])
  }

  @Test func branchesKeepTheConstantsTheyRead() {
    var graph = choosing(nil)
    graph.removeUnusedInitializers()
    #expect(graph.initializers.keys == ["axes"])
    #expect(graph.consumers(of: "x") == [0])
  }

  @Test func brokenBranchesAreRefused() {
    func expectRefusal(_ change: (inout Graph) -> Void, _ fragment: String) {
      var graph = choosing(nil)
      change(&graph)
      let error = #expect(throws: SwiftletError.self) { try Interpreter(graph) }
      #expect(error?.description.contains(fragment) == true, "\(String(describing: error))")
    }
    expectRefusal({ $0.nodes[0].attributes["then_branch"] = nil }, "'then_branch'")
    expectRefusal({ $0.nodes[0].inputs.append("x") }, "2 inputs")
    expectRefusal({ $0.initializers["axes"] = nil }, "no earlier node writes input 'axes'")
    expectRefusal({ $0.nodes[0].outputs.append("z") }, "1 outputs")
  }
}
