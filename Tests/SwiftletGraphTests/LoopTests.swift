// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Inner graphs that run many times.
struct LoopTests {
  private func interpreter(_ nodes: [Node], inputs: [ValueInfo], outputs: [String]) throws -> Interpreter {
    try Interpreter(
      Graph(
        name: "g", nodes: nodes, inputs: inputs,
        outputs: outputs.map { ValueInfo($0, .float32, []) }))
  }

  private func body(_ nodes: [Node], _ inputs: [(String, DType)], _ outputs: [String]) -> Attribute
  {
    .graph(
      Graph(
        name: "body", nodes: nodes, inputs: inputs.map { ValueInfo($0.0, $0.1, []) },
        outputs: outputs.map { ValueInfo($0, .float32, []) }))
  }

  /// Doubles a number until it is not less than a limit that the graph around has; each value is
  /// stacked.
  private func doubling(_ inputs: [String]) throws -> Interpreter {
    let inner = body(
      [
        Node("Add", name: "", inputs: ["x", "x"], outputs: ["next"]),
        Node("Less", name: "", inputs: ["next", "limit"], outputs: ["on"]),
        Node("Identity", name: "", inputs: ["next"], outputs: ["seen"]),
      ], [("i", .int64), ("c", .bool), ("x", .float32)], ["on", "next", "seen"])
    return try interpreter(
      [
        Node(
          "Loop", name: "l", inputs: inputs, outputs: ["last", "all"], attributes: ["body": inner])
      ],
      inputs: [
        ValueInfo("start", .float32, [.fixed(1)]), ValueInfo("limit", .float32, [.fixed(1)]),
        ValueInfo("n", .int64, []),
      ], outputs: ["last", "all"])
  }

  private func run(_ interpreter: Interpreter, _ start: Float, _ limit: Float, _ n: Int64) throws -> [AnyTensor] {
    let results = try interpreter.run(
      ["start": floats([1], [start]), "limit": floats([1], [limit]), "n": ints([], [n])],
      ExecutionContext())
    return [results["last"]!, results["all"]!]
  }

  @Test func loopsEndByConditionOrCount() throws {
    let endless = try doubling(["", "", "start"])
    #expect(
      try run(endless, 1, 7, 0) == [floats([1], [8]), floats([3, 1], [2, 4, 8])])
    let counted = try doubling(["n", "", "start"])
    #expect(try run(counted, 1, 7, 2) == [floats([1], [4]), floats([2, 1], [2, 4])])
    #expect(try run(counted, 1, 7, 0) == [floats([1], [1]), floats([0, 1], [])])
    #expect(try run(counted, 1, 7, -3)[0] == floats([1], [1]))
  }

  @Test func endlessLoopsAreRefused() throws {
    let endless = try doubling(["", "", "start"])
    // By the limit of steps that inner graphs may take.
    let error = #expect(throws: SwiftletError.self) { try run(endless, 0, 1, 0) }
    #expect(error?.code == .badInput)
  }

  @Test func misfitBodiesAreRefused() throws {
    let inner = body([], [("i", .int64), ("c", .bool)], ["c"])
    for inputs in [["n"], ["n", "", "start"]] {
      #expect(throws: SwiftletError.self) {
        try OperatorRegistry.make(
          Node("Loop", name: "l", inputs: inputs, outputs: [], attributes: ["body": inner]),
          opset: 17)
      }
    }
    #expect(throws: SwiftletError.self) {
      try OperatorRegistry.make(
        Node("Loop", name: "l", inputs: ["", ""], outputs: [], attributes: [:]), opset: 17)
    }
  }

  /// Running sums of columns, from the last one back.
  @Test func scansGoThroughSlicesInEitherDirection() throws {
    let inner = body(
      [
        Node("Add", name: "", inputs: ["s", "x"], outputs: ["t"]),
        Node("Identity", name: "", inputs: ["t"], outputs: ["y"]),
      ], [("s", .float32), ("x", .float32)], ["t", "y"])
    let scan = Node(
      "Scan", name: "s", inputs: ["start", "rows"], outputs: ["last", "all"],
      attributes: [
        "body": inner, "num_scan_inputs": .int(1), "scan_input_axes": .ints([1]),
        "scan_input_directions": .ints([1]), "scan_output_axes": .ints([-1]),
        "scan_output_directions": .ints([1]),
      ])
    let interpreter = try interpreter(
      [scan],
      inputs: [
        ValueInfo("start", .float32, [.fixed(2)]),
        ValueInfo("rows", .float32, [.fixed(2), .symbolic("N")]),
      ], outputs: ["last", "all"])
    let results = try interpreter.run(
      ["start": floats([2], [0, 10]), "rows": floats([2, 3], [1, 2, 3, 4, 5, 6])],
      ExecutionContext())
    #expect(results["last"] == floats([2], [6, 25]))
    #expect(results["all"] == floats([2, 3], [6, 5, 3, 25, 21, 16]))
    let empty = try interpreter.run(
      ["start": floats([2], [0, 10]), "rows": floats([2, 0], [])], ExecutionContext())
    #expect(empty["all"] == floats([2, 0], []))
    #expect(try interpreter.infer(["start": [2], "rows": [2, 5]])["all"]?.shape == [2, 5])
  }
}
