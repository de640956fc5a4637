// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Normalizations, padding and the exchange of depth and space, with numbers written out.
struct NormalizationTests {
  private static let one = floats([1], [1])
  private static let zero = floats([1], [0])

  private static let cases: [OperatorCase] = [
    OperatorCase(
      "LpNormalization", [floats([2, 2], [3, -4, 0, 0])], gives: floats([2, 2], [0.6, -0.8, 0, 0])),
    OperatorCase(
      "LpNormalization", [floats([2, 2], [3, -4, 1, 0])], ["axis": .int(0), "p": .int(1)],
      gives: floats([2, 2], [0.75, -1, 0.25, 0])),
    OperatorCase(
      "MeanVarianceNormalization", [floats([2, 2], [1, 10, 3, 30])], ["axes": .ints([0])],
      gives: floats([2, 2], [-1, -1, 1, 1])),
    OperatorCase(
      "LRN", [floats([1, 3, 1], [1, 2, 3])],
      ["size": .int(2), "alpha": .float(2), "beta": .float(1)],
      gives: floats([1, 3, 1], [1.0 / 6, 2.0 / 14, 3.0 / 10])),
    OperatorCase(
      "BatchNormalization",
      [
        floats([2, 1], [1, 3]), floats([1], [2]), floats([1], [1]), floats([1], [0]),
        floats([1], [1]),
      ], ["training_mode": .int(1), "epsilon": .float(0), "momentum": .float(0.75)],
      gives: floats([2, 1], [-1, 3]), floats([1], [0.5]), floats([1], [1])),
    OperatorCase(
      "InstanceNormalization",
      [floats([1, 2, 2], [1, 3, 10, 14]), floats([2], [1, 2]), floats([2], [0, 5])],
      ["epsilon": .float(0)], gives: floats([1, 2, 2], [-1, 1, 3, 7])),
    OperatorCase(
      "GroupNormalization",
      [floats([1, 4, 1], [1, 3, 10, 14]), floats([2], [1, 2]), floats([2], [0, 5])],
      ["epsilon": .float(0), "num_groups": .int(2)], gives: floats([1, 4, 1], [-1, 1, 3, 7]),
      opset: 18),
    OperatorCase(
      "GroupNormalization",
      [
        floats([1, 4, 1], [1, 3, 10, 14]), floats([4], [1, 2, 3, 4]), floats([4], [0, 0, 1, 1]),
      ],
      ["epsilon": .float(0), "num_groups": .int(2)], gives: floats([1, 4, 1], [-1, 2, -2, 5]),
      opset: 21),
    OperatorCase(
      "LayerNormalization",
      [floats([2, 2], [1, 3, 10, 14]), floats([2], [1, 2]), floats([1], [5])],
      ["epsilon": .float(0)], gives: floats([2, 2], [4, 7, 4, 7]), floats([2, 1], [2, 12]),
      floats([2, 1], [1, 0.5])),
    OperatorCase(
      "LayerNormalization", [floats([2, 2], [1, 3, 1, 3]), floats([2, 2], [1, 1, 2, 2])],
      ["epsilon": .float(0), "axis": .int(0)], gives: floats([2, 2], [-1, 1, -2, 2])),
    OperatorCase(
      "RMSNormalization", [floats([2, 2], [1, 1, 3, -3]), floats([2], [1, 2])],
      ["epsilon": .float(0)], gives: floats([2, 2], [1, 2, 1, -2])),
    OperatorCase(
      "Pad", [ints([3], [1, 2, 3]), list(2, 1)], gives: ints([6], [0, 0, 1, 2, 3, 0])),
    OperatorCase(
      "Pad", [floats([2, 2], [1, 2, 3, 4]), list(-1, 1, 1, 0), floats([], [9])],
      gives: floats([2, 3], [9, 3, 4, 9, 9, 9])),
    OperatorCase(
      "Pad", [ints([3], [1, 2, 3]), list(2, 3)], ["mode": .string("reflect")],
      gives: ints([8], [3, 2, 1, 2, 3, 2, 1, 2])),
    OperatorCase(
      "Pad", [ints([3], [1, 2, 3]), list(1, 2)], ["mode": .string("edge")],
      gives: ints([6], [1, 1, 2, 3, 3, 3])),
    OperatorCase(
      "Pad", [ints([3], [1, 2, 3]), list(1, 4)], ["mode": .string("wrap")],
      gives: ints([8], [3, 1, 2, 3, 1, 2, 3, 1])),
    OperatorCase(
      "Pad", [ints([1, 2], [1, 2]), list(1, 0), nil, list(-1)],
      gives: ints([1, 3], [0, 1, 2]), opset: 18),
    OperatorCase(
      "Pad", [floats([2], [1, 2])], ["pads": .ints([0, 1]), "value": .float(7)],
      gives: floats([3], [1, 2, 7]), opset: 10),
    OperatorCase(
      "DepthToSpace", [count([1, 8, 1, 1])], ["blocksize": .int(2)],
      gives: floats([1, 2, 2, 2], [0, 2, 4, 6, 1, 3, 5, 7])),
    OperatorCase(
      "DepthToSpace", [count([1, 8, 1, 1])], ["blocksize": .int(2), "mode": .string("CRD")],
      gives: count([1, 2, 2, 2])),
    OperatorCase(
      "SpaceToDepth", [count([1, 1, 2, 4])], ["blocksize": .int(2)],
      gives: floats([1, 4, 1, 2], [0, 2, 1, 3, 4, 6, 5, 7])),
    OperatorCase(
      "SpaceToDepth", [count([1, 2, 1, 2])], ["blocksize": .int(1), "mode": .string("CRD")],
      gives: count([1, 2, 1, 2])),
    OperatorCase(
      "SpaceToDepth", [count([1, 2, 2, 2])], ["blocksize": .int(2), "mode": .string("CRD")],
      gives: count([1, 8, 1, 1])),
  ]

  @Test(arguments: cases, [1, 2])
  func results(test: OperatorCase, threads: Int) throws { try test.check(threads: threads) }

  private static let refusals: [Refusal] = [
    Refusal("LayerNormalization", [count([2, 3]), count([2])]),
    Refusal("LayerNormalization", [count([2, 3]), count([3])], ["axis": .int(2)]),
    Refusal("InstanceNormalization", [count([1, 2, 2]), count([3]), count([3])]),
    Refusal(
      "GroupNormalization", [count([1, 3, 2]), count([2]), count([2])], ["num_groups": .int(2)]),
    Refusal("GroupNormalization", [count([1, 3, 2]), count([3]), count([3])]),
    Refusal("Pad", [count([2]), list(-2, -1)]),
    Refusal("Pad", [count([2]), list(1, 1, 1)]),
    Refusal("Pad", [count([2]), list(-2, 1)], ["mode": .string("edge")]),
    Refusal("Pad", [count([2]), list(.max, .max)]),
    Refusal("Pad", [count([2]), list(1, 1)], ["mode": .string("mirror")]),
    Refusal("DepthToSpace", [count([1, 3, 2, 2])], ["blocksize": .int(2)]),
    Refusal("SpaceToDepth", [count([1, 3, 2, 3])], ["blocksize": .int(2)]),
    Refusal("SpaceToDepth", [count([1, 3, 2, 2])], ["blocksize": .int(0)]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }

  @Test func outputsMayBeLeftOut() throws {
    var graph = Graph(
      name: "g",
      nodes: [
        Node(
          "LayerNormalization", name: "n", inputs: ["x", "s"], outputs: ["", "", "factor"],
          attributes: ["epsilon": .float(0)])
      ],
      inputs: [ValueInfo("x", .float32, [.fixed(2)])],
      outputs: [ValueInfo("factor", .float32, [.fixed(1)])])
    graph.initializers["s"] = floats([2], [1, 1])
    let results = try Interpreter(graph).run(["x": floats([2], [10, 14])], ExecutionContext())
    #expect(results == ["factor": floats([1], [0.5])])
  }
}
