// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// What fuzzers and damaged files have found: each ended the process once.
struct FoundByFuzzingTests {
  private func interpreter(_ node: Node, _ inputs: [ValueInfo]) throws -> Interpreter {
    try Interpreter(
      Graph(
        name: "found", nodes: [node], inputs: inputs,
        outputs: [ValueInfo("y", .float32, [.symbolic("")])]))
  }

  /// Inputs that the operator needs, and the model leaves out.
  @Test(arguments: ["ConstantOfShape", "Expand", "Tile", "Pad", "Reshape"])
  func inputsMustNotBeMissing(opType: String) throws {
    let inputs = opType == "ConstantOfShape" ? [] : ["x"]
    let interpreter = try interpreter(
      Node(opType, name: "n", inputs: inputs, outputs: ["y"]),
      inputs.map { ValueInfo($0, .float32, []) })
    let error = #expect(throws: SwiftletError.self) {
      try interpreter.run(
        inputs.isEmpty ? [:] : ["x": .float32(Tensor([], [1]))], ExecutionContext())
    }
    #expect(error?.code == .badInput)
  }

  /// An output of a branch that has no name is not a value of the graph around it.
  @Test func outputsOfBranchesHaveNames() throws {
    func branch(_ output: String) -> Attribute {
      .graph(
        Graph(
          name: "b", nodes: [Node("Neg", name: "n", inputs: ["x"], outputs: ["b"])],
          outputs: [ValueInfo(output, .float32, [])]))
    }
    let error = #expect(throws: SwiftletError.self) {
      try interpreter(
        Node(
          "If", name: "i", inputs: ["c"], outputs: ["y"],
          attributes: ["then_branch": branch("b"), "else_branch": branch("")]),
        [ValueInfo("c", .bool, []), ValueInfo("x", .float32, [])])
    }
    #expect(error?.description.contains("no node writes output") == true)
  }

  @Test(arguments: [Int.min, -1, 0, .max])
  func extentsOfResultsMustBePossible(extent: Int) throws {
    let interpreter = try interpreter(
      Node(
        "ConvTranspose", name: "n", inputs: ["x", "w"], outputs: ["y"],
        attributes: ["output_shape": .ints([extent])]),
      [
        ValueInfo("x", .float32, [1, 1, 2].map(Dimension.fixed)),
        ValueInfo("w", .float32, [1, 1, 1].map(Dimension.fixed)),
      ])
    let error = #expect(throws: SwiftletError.self) { try interpreter.infer(interpreter.inputShapes(batch: 1)) }
    #expect(error?.code == .badInput)
  }

  /// Convolutions of images without channels are their bias.
  @Test(arguments: [1, 2], [1, 3]) func channelsMayBeNone(groups: Int, kernel: Int) throws {
    let inputs: [AnyTensor] = [
      .float32(Tensor([2, 0, 5, 5], [])), .float32(Tensor([4, 0, kernel, kernel], [])),
      .float32(Tensor([4], [1, 2, 3, 4])),
    ]
    let result = try compute("Conv", inputs, ["group": .int(groups)])[0]
    let area = (6 - kernel) * (6 - kernel)
    let planes = (0..<8).flatMap { [Float](repeating: Float($0 % 4 + 1), count: area) }
    #expect(result == .float32(Tensor([2, 4, 6 - kernel, 6 - kernel], planes)))
    let bytes: [AnyTensor] = [
      .uint8(Tensor([2, 0, 5, 5], [])), .int8(Tensor([4, 0, kernel, kernel], [])),
    ]
    let sums = try compute("ConvInteger", bytes, ["group": .int(groups)])[0]
    #expect(sums == .int32(Tensor([2, 4, 6 - kernel, 6 - kernel], repeating: 0)))
  }

  /// A window of 2²⁰ taps, nearly all of them in the padding, at 2²⁰ places.
  @Test func windowsInThePaddingAreCountedNotWalked() throws {
    let reach = 1 << 20
    let interpreter = try interpreter(
      Node(
        "AveragePool", name: "n", inputs: ["x"], outputs: ["y"],
        attributes: [
          "kernel_shape": .ints([reach]), "pads": .ints([reach - 1, reach - 1]),
          "count_include_pad": .int(1),
        ]), [ValueInfo("x", .float32, [1, 1, 1].map(Dimension.fixed))])
    let result = try interpreter.run(["x": .float32(Tensor([1, 1, 1], [1]))], ExecutionContext())
    #expect(result["y"] == .float32(Tensor([1, 1, reach], repeating: 1 / Float(reach))))
  }
}
