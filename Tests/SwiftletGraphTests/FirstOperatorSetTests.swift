// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Operators as operator sets 1 to 8 have them, where that differs from what later ones say.
struct FirstOperatorSetTests {
  private static func old(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute] = [:],
    opset: Int, gives expected: AnyTensor
  ) -> OperatorCase {
    OperatorCase(opType, inputs, attributes, gives: expected, opset: opset)
  }

  private static let grid = floats([1, 2, 2], [1, 2, 3, 4])

  private static let cases: [OperatorCase] = [
    // Without an axis, the first operator sets join along axis 1.
    old("Concat", [grid, grid], opset: 1, gives: floats([1, 4, 2], [1, 2, 3, 4, 1, 2, 3, 4])),
    old(
      "Concat", [grid, grid], ["axis": .int(2)], opset: 3,
      gives: floats([1, 2, 4], [1, 2, 1, 2, 3, 4, 3, 4])),
    old(
      "Reshape", [grid], ["shape": .ints([0, -1])], opset: 1, gives: floats([1, 4], [1, 2, 3, 4])),
    old(
      "Pad", [floats([2], [1, 2])], ["paddings": .ints([1, 2]), "value": .float(9)], opset: 1,
      gives: floats([5], [9, 1, 2, 9, 9])),
    old(
      "Pad", [floats([2], [1, 2])], ["pads": .ints([0, 1]), "mode": .string("edge")], opset: 2,
      gives: floats([3], [1, 2, 2])),
    old("Cast", [floats([2], [1.5, -2])], ["to": .string("INT64")], opset: 1, gives: list(1, -2)),
    old(
      "Cast", [floats([2], [0, 2])], ["to": .string("bool")], opset: 5,
      gives: bools([2], [false, true])),
    old(
      "Tile", [floats([2], [1, 2]), floats([], [2]), floats([], [0])], opset: 1,
      gives: floats([4], [1, 2, 1, 2])),
    old(
      "Tile", [grid, ints([1], [2]), ints([1], [-1])], opset: 5,
      gives: floats([1, 2, 4], [1, 2, 1, 2, 3, 4, 3, 4])),
    old("Tile", [floats([2], [1, 2]), list(2)], opset: 6, gives: floats([4], [1, 2, 1, 2])),
    old(
      "Upsample", [floats([1, 1, 1, 2], [1, 2])],
      ["height_scale": .float(2), "width_scale": .float(1)], opset: 1,
      gives: floats([1, 1, 2, 2], [1, 2, 1, 2])),
    old("Selu", [floats([1], [1])], opset: 1, gives: floats([1], [1.0507])),
    old("Selu", [floats([1], [1])], opset: 6, gives: floats([1], [1.050_701])),
    old(
      "GlobalLpPool", [floats([1, 1, 2], [3, 4])], ["p": .float(2)], opset: 1,
      gives: floats([1, 1, 1], [5])),
    old(
      "LpPool", [floats([1, 1, 2], [3, 4])], ["p": .float(1), "kernel_shape": .ints([2])],
      opset: 1, gives: floats([1, 1, 1], [7])),
    // Parameters of each position.
    old(
      "BatchNormalization",
      [
        floats([2, 1, 2], [1, 2, 3, 4]), floats([1, 2], [1, 10]), floats([1, 2], [0, 5]),
        floats([1, 2], [1, 2]), floats([1, 2], [1, 4]),
      ], ["spatial": .int(0), "epsilon": .float(0)], opset: 7,
      gives: floats([2, 1, 2], [0, 5, 2, 15])),
    // Bounds that are left out are the greatest finite numbers, but for the first operator sets.
    old(
      "Clip", [floats([2], [-.infinity, 3])], ["max": .float(1)], opset: 6,
      gives: floats([2], [-.greatestFiniteMagnitude, 1])),
    old(
      "Clip", [floats([2], [-.infinity, 3])], ["max": .float(1)], opset: 1,
      gives: floats([2], [-.infinity, 1])),
    old(
      "Clip", [floats([2], [-3, .infinity]), floats([], [0])], opset: 13,
      gives: floats([2], [0, .greatestFiniteMagnitude])),
    old(
      "Clip", [.int8(Tensor([2], [-128, 127]))], opset: 13, gives: .int8(Tensor([2], [-128, 127]))),
  ]

  @Test(arguments: cases)
  func result(test: OperatorCase) throws { try test.check() }

  @Test func splitTakesLengthsAsFloats() throws {
    let x = floats([3], [1, 2, 3])
    let pieces = try compute("Split", [x, floats([2], [1, 2])], outputs: 2, opset: 1)
    #expect(pieces == [floats([1], [1]), floats([2], [2, 3])])
    #expect(throws: SwiftletError.self) {
      try compute("Split", [x, floats([2], [1.5, 1.5])], outputs: 2, opset: 1)
    }
  }

  /// The mask has the type of the input before operator set 10.
  @Test func masksOfDropoutHaveTheTypeOfTheirTime() throws {
    for (opset, mask) in [(6, floats([2], [1, 1])), (10, bools([2], [true, true]))] {
      let x = floats([2], [3, 4])
      #expect(try compute("Dropout", [x], outputs: 2, opset: opset) == [x, mask])
    }
  }

  @Test func refusesWhatIsNotSaid() {
    for (opType, attributes, opset) in [
      ("Concat", [:], 4), ("Reshape", [:], 1), ("Cast", ["to": .string("NUMBER")], 1),
      ("Tile", [:], 1), ("Pad", ["pads": .ints([0, 0, 0, 0, 0, 0])], 1),
    ] as [(String, [String: Attribute], Int)] {
      #expect(throws: SwiftletError.self, "\(opType)") {
        try compute(opType, [Self.grid], attributes, opset: opset)
      }
    }
    let parameters = [AnyTensor?](repeating: floats([2], [1, 1]), count: 4)
    #expect(throws: SwiftletError.self) {
      try compute(
        "BatchNormalization", [Self.grid] + parameters, ["spatial": .int(0)], opset: 7)
    }
  }

  // MARK: In newer operator sets

  private func node(
    _ opType: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]
  ) -> Node {
    Node(opType, name: output, inputs: inputs, outputs: [output], attributes: attributes)
  }

  private func graph(_ opset: Int, _ nodes: [Node], _ constants: [String: AnyTensor]) -> Graph {
    var graph = Graph(name: "old", nodes: nodes, opset: opset)
    graph.inputs = [ValueInfo("x", .float32, [2, 3, 2, 2].map(Dimension.fixed))]
    graph.outputs = [ValueInfo("y", .float32, [])]
    for (name, value) in constants.sorted(by: { $0.key < $1.key }) {
      graph.initializers[name] = value
    }
    return graph
  }

  /// A chain of old forms computes the same in operator sets 7, 13 and 21.
  @Test(arguments: [7, 13, 21])
  func oldFormsBecomeNew(target: Int) throws {
    let old = graph(
      1,
      [
        node(
          "Add", ["x", "c"], "a",
          ["broadcast": .int(1), "axis": .int(1), "consumed_inputs": .ints([0, 0])]),
        node("PRelu", ["a", "c"], "b"),
        node("Pad", ["b"], "d", ["paddings": .ints([0, 0, 1, 0, 0, 0, 0, 1])]),
        node("Concat", ["d", "d"], "e"),
        node("Upsample", ["e"], "f", ["height_scale": .float(2), "width_scale": .float(1)]),
        node("Selu", ["f"], "g"),
        node("Clip", ["g"], "h", ["max": .float(1)]),
        node("Tile", ["h", "two", "one"], "i"),
        node("Cast", ["i"], "j", ["to": .string("DOUBLE")]),
        node("Cast", ["j"], "k", ["to": .string("FLOAT")]),
        node(
          "BatchNormalization", ["k", "p", "p", "p", "p"], "l",
          ["is_test": .int(1), "spatial": .int(0)]),
        node("Reshape", ["l"], "m", ["shape": .ints([2, -1])]),
        node("Gemm", ["m", "w", "v"], "y", ["broadcast": .int(1)]),
      ],
      [
        "c": floats([3], [1, -2, 3]), "two": floats([], [2]), "one": floats([], [1]),
        "p": count([12, 6, 3]), "w": count([216, 2]), "v": floats([2], [1, 2]),
      ])
    var generator = RandomGenerator(seed: 7)
    let x = AnyTensor.float32(Tensor([2, 3, 2, 2], normalUsing: &generator))
    let infos = try Interpreter(old).infer(["x": x.shape])
    let new = try old.upgraded(toOpset: target, ranks: infos.mapValues(\.shape.rank))
    #expect(new.opset == target)
    var obsolete: Set<String> = [
      "broadcast", "consumed_inputs", "is_test", "paddings", "height_scale",
    ]
    if target >= 9 { obsolete.insert("spatial") }
    #expect(new.nodes.allSatisfy { obsolete.isDisjoint(with: $0.attributes.keys) })
    let results = try [old, new].map {
      try Interpreter($0).run(["x": x], ExecutionContext())["y"]!.require(Float.self).elements
    }
    #expect(
      zip(results[0], results[1]).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($0)) })
  }

  @Test func whatDependsOnAnUnknownRankIsRefused() {
    let old = graph(
      6, [node("Add", ["x", "c"], "y", ["broadcast": .int(1), "axis": .int(1)])],
      ["c": floats([3], [1, 2, 3])])
    let error = #expect(throws: SwiftletError.self) { try old.upgraded(toOpset: 13) }
    #expect(error?.code == .unsupported)
  }
}
