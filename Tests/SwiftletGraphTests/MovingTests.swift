// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Operators that take elements to other places.
struct MovingTests {
  private static let grid = count([2, 3])
  private static let cube = count([2, 2, 2])

  private static let shapes: [OperatorCase] = [
    OperatorCase("Reshape", [grid, list(3, -1)], gives: count([3, 2])),
    OperatorCase("Reshape", [grid, list(0, 1, -1)], gives: count([2, 1, 3])),
    OperatorCase("Reshape", [grid, list(6)], gives: count([6])),
    OperatorCase(
      "Reshape", [floats([0, 3], []), list(3, 0)], ["allowzero": .int(1)],
      gives: floats([3, 0], [])),
    OperatorCase("Reshape", [bools([1], [true]), list()], gives: bools([], [true])),
    OperatorCase(
      "Flatten", [.uint8(Tensor([2, 1], [1, 2]))], gives: .uint8(Tensor([2, 1], [1, 2]))),
    OperatorCase("Squeeze", [count([1, 2, 1])], gives: count([2])),
    OperatorCase("Squeeze", [count([1, 2, 1]), list(-1)], gives: count([1, 2])),
    OperatorCase(
      "Squeeze", [count([1, 2, 1])], ["axes": .ints([0])], gives: count([2, 1]), opset: 11),
    OperatorCase("Unsqueeze", [grid, list(-1, 0)], gives: count([1, 2, 3, 1])),
    OperatorCase("Unsqueeze", [grid], ["axes": .ints([1])], gives: count([2, 1, 3]), opset: 11),
    OperatorCase("Identity", [grid], gives: grid),
    OperatorCase("Transpose", [grid], gives: floats([3, 2], [0, 3, 1, 4, 2, 5])),
    OperatorCase(
      "Transpose", [cube], ["perm": .ints([1, 0, 2])],
      gives: floats([2, 2, 2], [0, 1, 4, 5, 2, 3, 6, 7])),
    OperatorCase("Expand", [count([2, 1]), list(3)], gives: floats([2, 3], [0, 0, 0, 1, 1, 1])),
    OperatorCase("Expand", [count([2]), list(2, 1)], gives: floats([2, 2], [0, 1, 0, 1])),
    OperatorCase(
      "Tile", [grid, list(2, 2)],
      gives: floats(
        [4, 6], [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5])),
    OperatorCase("Shape", [grid], gives: list(2, 3)),
    OperatorCase("Shape", [cube], ["start": .int(-1), "end": .int(9)], gives: list(2)),
    OperatorCase("Size", [grid], gives: ints([], [6])),
  ]

  private static let parts: [OperatorCase] = [
    OperatorCase(
      "Slice", [grid, list(1), list(.max), list(1)], gives: floats([2, 2], [1, 2, 4, 5])),
    OperatorCase(
      "Slice", [grid, list(-1, 0), list(.min, 3), list(1, 0), list(-2, 1)],
      gives: floats([2, 2], [2, 0, 5, 3])),
    OperatorCase("Slice", [grid, list(2), list(1)], gives: floats([0, 3], [])),
    OperatorCase(
      "Slice", [grid, list(0), list(9), list(-1), list(.max)], gives: floats([2, 1], [0, 3])),
    OperatorCase(
      "Slice", [grid, list(5), list(.min), list(0), list(.min)], gives: floats([1, 3], [3, 4, 5])),
    OperatorCase(
      "Slice", [grid], ["starts": .ints([0, 1]), "ends": .ints([1, 3])],
      gives: floats([1, 2], [1, 2]), opset: 9),
    OperatorCase(
      "Split", [count([5])], ["num_outputs": .int(2)], gives: count([3]), floats([2], [3, 4]),
      opset: 18),
    OperatorCase(
      "Split", [grid, list(1, 2)], ["axis": .int(-1)], gives: floats([2, 1], [0, 3]),
      floats([2, 2], [1, 2, 4, 5])),
    OperatorCase(
      "Split", [count([4])], ["split": .ints([1, 3])], gives: count([1]), floats([3], [1, 2, 3]),
      opset: 11),
    OperatorCase(
      "Concat", [grid, floats([2, 1], [8, 9])], ["axis": .int(-1)],
      gives: floats([2, 4], [0, 1, 2, 8, 3, 4, 5, 9])),
    OperatorCase(
      "Concat", [bools([1], [true]), bools([0], []), bools([1], [false])], ["axis": .int(0)],
      gives: bools([2], [true, false])),
    OperatorCase(
      "Compress", [grid, bools([2], [false, true])], ["axis": .int(-1)],
      gives: floats([2, 1], [1, 4])),
    OperatorCase(
      "Compress", [grid, bools([3], [true, false, true])], gives: floats([2], [0, 2])),
    OperatorCase(
      "Trilu", [count([2, 2, 2])], gives: floats([2, 2, 2], [0, 1, 0, 3, 4, 5, 0, 7])),
    OperatorCase(
      "Trilu", [grid, list(1)], ["upper": .int(0)], gives: floats([2, 3], [0, 1, 0, 3, 4, 5])),
    OperatorCase(
      "Trilu", [grid, ints([], [.min])], ["upper": .int(0)],
      gives: floats([2, 3], [0, 0, 0, 0, 0, 0])),
    OperatorCase(
      "ReverseSequence", [count([3, 2]), list(2, 3)],
      gives: floats([3, 2], [2, 5, 0, 3, 4, 1])),
    OperatorCase(
      "ReverseSequence", [count([2, 3]), list(3, 1)],
      ["time_axis": .int(1), "batch_axis": .int(0)], gives: floats([2, 3], [2, 1, 0, 3, 4, 5])),
  ]

  private static let gathers: [OperatorCase] = [
    OperatorCase("Gather", [grid, ints([], [-1])], gives: floats([3], [3, 4, 5])),
    OperatorCase(
      "Gather", [grid, ints([1, 2], [2, 0])], ["axis": .int(1)],
      gives: floats([2, 1, 2], [2, 0, 5, 3])),
    OperatorCase(
      "Gather", [.int8(Tensor([3], [1, 2, 3])), .int32(Tensor([2], [2, -3]))],
      gives: .int8(Tensor([2], [3, 1]))),
    OperatorCase(
      "GatherElements", [grid, ints([1, 3], [1, 0, -1])], gives: floats([1, 3], [3, 1, 5])),
    OperatorCase(
      "GatherElements", [grid, ints([2, 1], [2, 0])], ["axis": .int(1)],
      gives: floats([2, 1], [2, 3])),
    OperatorCase("GatherND", [grid, ints([2, 2], [0, 1, -1, -1])], gives: floats([2], [1, 5])),
    OperatorCase("GatherND", [grid, ints([1, 1], [1])], gives: floats([1, 3], [3, 4, 5])),
    OperatorCase(
      "GatherND", [cube, ints([2, 1], [1, 0])], ["batch_dims": .int(1)],
      gives: floats([2, 2], [2, 3, 4, 5])),
    OperatorCase(
      "ScatterElements", [count([3]), list(2, 0), floats([2], [7, 8])],
      gives: floats([3], [8, 1, 7])),
    OperatorCase(
      "ScatterElements", [grid, ints([2, 1], [1, -1]), floats([2, 1], [7, 8])],
      ["axis": .int(1), "reduction": .string("add")], gives: floats([2, 3], [0, 8, 2, 3, 4, 13])),
    OperatorCase(
      "ScatterElements", [list(5, 5), list(0, 0), list(2, 3)], ["reduction": .string("mul")],
      gives: list(30, 5)),
    OperatorCase("Scatter", [count([2]), list(1), floats([1], [7])], gives: floats([2], [0, 7])),
    OperatorCase(
      "ScatterND", [grid, ints([1, 1], [1]), floats([1, 3], [7, 8, 9])],
      gives: floats([2, 3], [0, 1, 2, 7, 8, 9])),
    OperatorCase(
      "ScatterND", [count([3]), ints([2, 1], [1, 1]), floats([2], [0, 9])],
      ["reduction": .string("max")], gives: floats([3], [0, 9, 2])),
  ]

  private static let makers: [OperatorCase] = [
    OperatorCase("ConstantOfShape", [list(2)], gives: floats([2], [0, 0])),
    OperatorCase(
      "ConstantOfShape", [list(1, 2)], ["value": .tensor(list(7))], gives: ints([1, 2], [7, 7])),
    OperatorCase("Constant", [], ["value_ints": .ints([1, 2])], gives: list(1, 2)),
    OperatorCase("Constant", [], ["value_float": .float(2)], gives: floats([], [2])),
    OperatorCase(
      "Range", [ints([], [5]), ints([], [0]), ints([], [-2])], gives: list(5, 3, 1)),
    OperatorCase(
      "Range", [floats([], [0]), floats([], [1]), floats([], [0.5])], gives: floats([2], [0, 0.5])),
    OperatorCase("Range", [ints([], [5]), ints([], [0]), ints([], [2])], gives: list()),
    OperatorCase(
      "OneHot", [list(1, -1, 7), ints([], [2]), floats([2], [0, 5])],
      gives: floats([3, 2], [0, 5, 0, 5, 0, 0])),
    OperatorCase(
      "OneHot", [list(1, 0), list(2), list(0, 1)], ["axis": .int(0)],
      gives: ints([2, 2], [0, 1, 1, 0])),
    OperatorCase(
      "EyeLike", [grid], ["k": .int(1), "dtype": .int(7)], gives: ints([2, 3], [0, 1, 0, 0, 0, 1])),
    OperatorCase(
      "EyeLike", [count([2, 2])], ["k": .int(.max)], gives: floats([2, 2], [0, 0, 0, 0])),
    OperatorCase(
      "NonZero", [floats([2, 2], [0, 3, 4, 0])], gives: ints([2, 2], [0, 1, 1, 0])),
    OperatorCase("NonZero", [floats([], [2])], gives: ints([0, 1], [])),
  ]

  @Test(arguments: shapes + parts + gathers + makers)
  func givesTheElements(test: OperatorCase) throws { try test.check() }

  private static let refusals: [Refusal] = [
    Refusal("Reshape", [grid, list(4)]),
    Refusal("Reshape", [grid, list(-1, -1)]),
    Refusal("Reshape", [grid, list(4, -1)]),
    Refusal("Reshape", [grid, list(-1, .max)]),
    Refusal("Reshape", [grid, list(6, 1, 0)]),
    Refusal("Reshape", [grid, floats([1], [6])]),
    Refusal("Reshape", [grid]),
    Refusal("Squeeze", [grid, list(0)]),
    Refusal("Squeeze", [grid, list(5)]),
    Refusal("Unsqueeze", [grid, list(0, 0)]),
    Refusal("Unsqueeze", [grid]),
    Refusal("Transpose", [grid], ["perm": .ints([0, 0])]),
    Refusal("Expand", [grid, list(2, 2)]),
    Refusal("Expand", [grid, list(-1, 3)]),
    Refusal("Tile", [grid, list(2)]),
    Refusal("Tile", [grid, list(.max, .max)]),
    Refusal("Slice", [grid, list(0), list(1), list(0), list(0)]),
    Refusal("Slice", [grid, list(0), list(1, 2)]),
    Refusal("Slice", [grid, list(0), list(1), list(7)]),
    Refusal("Slice", [grid]),
    Refusal("Split", [grid, list(1, 2)], outputs: 2),
    Refusal("Split", [grid, list(-1, 3)], outputs: 2),
    Refusal("Split", [grid], ["num_outputs": .int(0)], outputs: 2),
    Refusal("Concat", [grid, count([3, 2])], ["axis": .int(0)]),
    Refusal("Concat", [grid, list(1)], ["axis": .int(0)]),
    Refusal("Concat", [grid], ["axis": .int(2)]),
    Refusal("Gather", [grid, list(2)]),
    Refusal("Gather", [grid, list(-3)]),
    Refusal("Gather", [grid, floats([1], [0])]),
    Refusal("Gather", [floats([], [1]), list(0)]),
    Refusal("GatherElements", [grid, list(0)]),
    Refusal("GatherElements", [grid, ints([1, 4], [0, 0, 0, 0])]),
    Refusal("GatherND", [grid, ints([1, 3], [0, 0, 0])]),
    Refusal("GatherND", [grid, ints([1, 1], [2])]),
    Refusal("GatherND", [grid, ints([1, 1], [0])], ["batch_dims": .int(-1)]),
    Refusal("ScatterElements", [count([3]), list(3), floats([1], [7])]),
    Refusal("ScatterElements", [count([3]), list(1), list(7)]),
    Refusal("ScatterElements", [count([3]), list(1), count([1])], ["reduction": .string("x")]),
    Refusal("ScatterND", [grid, ints([1, 1], [1]), count([2])]),
    Refusal("Compress", [grid, bools([3], [true, true, true])], ["axis": .int(0)]),
    Refusal("Trilu", [list(1)]),
    Refusal("ReverseSequence", [count([3, 2]), list(2, 4)]),
    Refusal("ConstantOfShape", [list(-1)]),
    Refusal("ConstantOfShape", [list(.max, .max)]),
    Refusal("Constant", []),
    Refusal("Constant", [], ["value_string": .string("x")]),
    Refusal("Range", [ints([], [0]), ints([], [5]), ints([], [0])]),
    Refusal("Range", [ints([], [.min]), ints([], [.max]), ints([], [1])]),
    Refusal("Range", [floats([], [0]), floats([], [1]), floats([], [0])]),
    Refusal("Range", [floats([], [0]), floats([], [.nan]), floats([], [1])]),
    Refusal("OneHot", [list(1), list(0), floats([2], [0, 1])]),
    Refusal("EyeLike", [list(1)]),
  ]

  @Test(arguments: refusals)
  func refusesWhatMakesNoSense(test: Refusal) { test.check() }
}
