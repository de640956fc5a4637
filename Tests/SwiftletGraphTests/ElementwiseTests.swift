// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Operators on single elements: numbers written out, and integers that must not trap.
struct ElementwiseTests {
  private static let row = floats([3], [1, -2, 4])
  private static let column = floats([2, 1], [10, 20])

  private static let arithmetic: [OperatorCase] = [
    OperatorCase("Add", [row, column], gives: floats([2, 3], [11, 8, 14, 21, 18, 24])),
    OperatorCase("Sub", [row, column], gives: floats([2, 3], [-9, -12, -6, -19, -22, -16])),
    OperatorCase("Sub", [floats([], [1]), row], gives: floats([3], [0, 3, -3])),
    OperatorCase("Mul", [column, row], gives: floats([2, 3], [10, -20, 40, 20, -40, 80])),
    OperatorCase("Div", [row, floats([1], [2])], gives: floats([3], [0.5, -1, 2])),
    OperatorCase("Add", [floats([0, 3], []), row], gives: floats([0, 3], [])),
    OperatorCase(
      "Add", [count([2, 1, 3]), count([2, 1])],
      gives: floats([2, 2, 3], [0, 1, 2, 1, 2, 3, 3, 4, 5, 4, 5, 6])),
    OperatorCase("Div", [list(7, -7, 5, .min), list(2, 2, 0, -1)], gives: list(3, -3, 0, .min)),
    OperatorCase("Add", [list(.max), list(1)], gives: list(.min)),
    OperatorCase("Mul", [list(.max), list(2)], gives: list(-2)),
    OperatorCase(
      "Sub", [.uint8(Tensor([2], [0, 9])), .uint8(Tensor([2], [1, 4]))],
      gives: .uint8(Tensor([2], [255, 5]))),
    OperatorCase("Mod", [list(-5, 5, 4, .min), list(3, -3, 0, -1)], gives: list(1, -1, 0, 0)),
    OperatorCase(
      "Mod", [list(-5, 5), list(3, -3)], ["fmod": .int(1)], gives: list(-2, 2)),
    OperatorCase("Mod", [floats([1], [-5]), floats([1], [3])], gives: floats([1], [1])),
    OperatorCase("Pow", [list(2, 3, 2, -1), list(10, 0, -1, -3)], gives: list(1024, 1, 0, -1)),
    OperatorCase("Pow", [list(4, 2), floats([], [0.5])], gives: list(2, 1)),
    OperatorCase(
      "Pow", [floats([4], [-2, 0, 4, -2]), floats([4], [3, 0, 0.5, 2])],
      gives: floats([4], [-8, 1, 2, 4])),
    OperatorCase(
      "Min", [row, column, floats([], [0])], gives: floats([2, 3], [0, -2, 0, 0, -2, 0])),
    OperatorCase("Max", [list(1, 5), list(3)], gives: list(3, 5)),
    OperatorCase("Sum", [list(1), list(2, 3), list(4)], gives: list(7, 8)),
    OperatorCase("Mean", [row, floats([3], [3, 2, 0])], gives: floats([3], [2, 0, 2])),
    OperatorCase("Mean", [row], gives: row),
  ]

  private static let unary: [OperatorCase] = [
    OperatorCase("Neg", [list(1, .min)], gives: list(-1, .min)),
    OperatorCase(
      "Abs", [.int8(Tensor([3], [-128, -3, 3]))], gives: .int8(Tensor([3], [-128, 3, 3]))),
    OperatorCase("Sign", [row], gives: floats([3], [1, -1, 1])),
    OperatorCase("Round", [floats([3], [0.5, 1.5, -2.5])], gives: floats([3], [0, 2, -2])),
    OperatorCase("Floor", [floats([2], [-0.5, 1.5])], gives: floats([2], [-1, 1])),
    OperatorCase("Ceil", [floats([2], [-0.5, 1.5])], gives: floats([2], [-0, 2])),
    OperatorCase("Sqrt", [floats([], [9])], gives: floats([], [3])),
    OperatorCase("Reciprocal", [floats([2], [4, 0])], gives: floats([2], [0.25, .infinity])),
    OperatorCase("Exp", [floats([1], [0])], gives: floats([1], [1])),
    OperatorCase("Not", [bools([2], [true, false])], gives: bools([2], [false, true])),
    OperatorCase("BitwiseNot", [list(0, 5)], gives: list(-1, -6)),
    OperatorCase(
      "IsNaN", [floats([3], [.nan, 1, .infinity])], gives: bools([3], [true, false, false])),
    OperatorCase(
      "IsInf", [floats([3], [.nan, -.infinity, .infinity])], ["detect_negative": .int(0)],
      gives: bools([3], [false, false, true])),
  ]

  private static let comparisons: [OperatorCase] = [
    OperatorCase(
      "Less", [row, floats([2, 1], [1, 5])],
      gives: bools([2, 3], [false, true, false, true, true, true])),
    OperatorCase("Greater", [floats([], [2]), row], gives: bools([3], [true, true, false])),
    OperatorCase("LessOrEqual", [row, floats([], [1])], gives: bools([3], [true, true, false])),
    OperatorCase("GreaterOrEqual", [list(1, 2), list(2, 2)], gives: bools([2], [false, true])),
    OperatorCase("Equal", [floats([1], [.nan]), floats([1], [.nan])], gives: bools([1], [false])),
    OperatorCase(
      "Equal", [bools([2], [true, false]), bools([1], [true])], gives: bools([2], [true, false])),
    OperatorCase(
      "And", [bools([2], [true, false]), bools([2, 1], [true, false])],
      gives: bools([2, 2], [true, false, false, false])),
    OperatorCase(
      "Or", [bools([2], [true, false]), bools([], [false])],
      gives: bools([2], [true, false])),
    OperatorCase(
      "Xor", [bools([2], [true, false]), bools([], [true])],
      gives: bools([2], [false, true])),
    OperatorCase("BitwiseAnd", [list(12), list(10)], gives: list(8)),
    OperatorCase("BitwiseOr", [list(12), list(10)], gives: list(14)),
    OperatorCase("BitwiseXor", [list(12), list(10)], gives: list(6)),
    OperatorCase(
      "BitShift", [.uint8(Tensor([3], [1, 255, 3])), .uint8(Tensor([3], [7, 1, 200]))],
      ["direction": .string("LEFT")], gives: .uint8(Tensor([3], [128, 254, 0]))),
    OperatorCase(
      "Where", [bools([2, 1], [true, false]), row, floats([], [9])],
      gives: floats([2, 3], [1, -2, 4, 9, 9, 9])),
    OperatorCase(
      "Where", [bools([2], [true, false]), list(1), list(5, 6)], gives: list(1, 6)),
  ]

  private static let casts: [OperatorCase] = [
    OperatorCase(
      "Cast", [floats([5], [1.9, -1.9, 1e30, -1e30, .nan])], ["to": .int(7)],
      gives: list(1, -1, .max, .min, 0)),
    OperatorCase("Cast", [list(300, -1)], ["to": .int(2)], gives: .uint8(Tensor([2], [44, 255]))),
    OperatorCase("Cast", [list(0, -3)], ["to": .int(9)], gives: bools([2], [false, true])),
    OperatorCase(
      "Cast", [floats([2], [0.5, 0])], ["to": .int(9)], gives: bools([2], [true, false])),
    OperatorCase(
      "Cast", [bools([2], [true, false])], ["to": .int(1)], gives: floats([2], [1, 0])),
    OperatorCase("Cast", [list(3)], ["to": .int(10)], gives: floats([1], [3])),
    OperatorCase(
      "Cast", [.uint64(Tensor([1], [.max]))], ["to": .int(13)],
      gives: .uint64(Tensor([1], [.max]))),
    OperatorCase("CastLike", [list(3), floats([], [0])], gives: floats([1], [3])),
  ]

  @Test(arguments: arithmetic + unary + comparisons + casts, [1, 2])
  func givesTheNumbers(test: OperatorCase, threads: Int) throws { try test.check(threads: threads) }

  /// Long enough for several pieces, with rows that end inside them.
  @Test(arguments: ["Add", "Sub", "Mul", "Div"], [1, 3])
  func longTensorsAreBroadcast(opType: String, threads: Int) throws {
    let a = Tensor<Float>([3, 1, 20_011], (0..<60_033).map { Float($0 % 101) + 1 })
    let b = Tensor<Float>([2, 1], [3, 7])
    let y: Tensor<Float> = try compute(
      opType, [.float32(a), .float32(b)], threads: threads)[0].require()
    for (place, value) in y.elements.enumerated() {
      let (x, z) = (a.elements[place / 40_022 * 20_011 + place % 20_011], place / 20_011 % 2)
      let other: Float = z == 0 ? 3 : 7
      let expected: Float =
        switch opType {
        case "Add": x + other
        case "Sub": x - other
        case "Mul": x * other
        default: x / other
        }
      guard value == expected else { return #expect(value == expected, "at \(place)") }
    }
  }

  private static let refusals: [Refusal] = [
    Refusal("Add", [row, floats([2], [1, 2])]),
    Refusal("Add", [row, list(1, 2, 3)]),
    Refusal("Add", [row]),
    Refusal("Add", [bools([1], [true]), bools([1], [true])]),
    Refusal("And", [row, row]),
    Refusal("Not", [row]),
    Refusal("Less", [bools([1], [true]), bools([1], [true])]),
    Refusal("Exp", [list(1)]),
    Refusal("Pow", [row, bools([1], [true])]),
    Refusal("Min", []),
    Refusal("Max", [row, floats([2], [1, 2])]),
    Refusal("BitwiseAnd", [row, row]),
    Refusal("BitShift", [list(1), list(1)], ["direction": .string("UP")]),
    Refusal("Where", [row, row, row]),
    Refusal("Where", [bools([2], [true, true]), row, row]),
    Refusal("Cast", [row], ["to": .int(8)]),
    Refusal("IsNaN", [list(1)]),
  ]

  @Test(arguments: refusals)
  func refusesWhatMakesNoSense(test: Refusal) { test.check() }
}
