// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Operators that combine many elements: reductions, searches, products.
struct ReductionTests {
  private static let grid = count([2, 3])
  private static let signed = floats([2, 2], [3, -4, 0, 2])

  private static let reductions: [OperatorCase] = [
    OperatorCase("ReduceSum", [grid, list(1)], gives: floats([2, 1], [3, 12])),
    OperatorCase(
      "ReduceSum", [grid, list(-2)], ["keepdims": .int(0)], gives: floats([3], [3, 5, 7])),
    OperatorCase("ReduceSum", [grid], gives: floats([1, 1], [15])),
    OperatorCase("ReduceSum", [grid, list()], ["noop_with_empty_axes": .int(1)], gives: grid),
    OperatorCase("ReduceSum", [list(.max, 1)], ["keepdims": .int(0)], gives: ints([], [.min])),
    OperatorCase("ReduceSum", [floats([0, 2], []), list(0)], gives: floats([1, 2], [0, 0])),
    OperatorCase(
      "ReduceMean", [grid], ["axes": .ints([0])], gives: floats([1, 3], [1.5, 2.5, 3.5])),
    OperatorCase("ReduceMean", [list(1, 2, 4)], gives: list(2)),
    OperatorCase("ReduceMean", [ints([0], [])], gives: list(0)),
    OperatorCase("ReduceMax", [signed], ["axes": .ints([1])], gives: floats([2, 1], [3, 2])),
    OperatorCase("ReduceMin", [signed], ["axes": .ints([1])], gives: floats([2, 1], [-4, 0])),
    OperatorCase("ReduceMax", [floats([0], [])], gives: floats([1], [-.infinity])),
    OperatorCase("ReduceMin", [bools([2], [true, false])], gives: bools([1], [false]), opset: 20),
    OperatorCase("ReduceProd", [signed], ["axes": .ints([-1])], gives: floats([2, 1], [-12, 0])),
    OperatorCase("ReduceL1", [signed], ["axes": .ints([1])], gives: floats([2, 1], [7, 2])),
    OperatorCase("ReduceL2", [signed], ["axes": .ints([1])], gives: floats([2, 1], [5, 2])),
    OperatorCase(
      "ReduceSumSquare", [signed], ["axes": .ints([1])], gives: floats([2, 1], [25, 4])),
    OperatorCase("ReduceLogSum", [floats([2], [0.25, 0.75])], gives: floats([1], [0])),
    OperatorCase("ReduceLogSumExp", [floats([2], [1000, -1000])], gives: floats([1], [1000])),
    OperatorCase(
      "ReduceSum", [count([2, 2, 3]), list(0, 2)], ["keepdims": .int(0)],
      gives: floats([2], [24, 42])),
  ]

  private static let searches: [OperatorCase] = [
    OperatorCase("ArgMax", [signed], gives: ints([1, 2], [0, 1])),
    OperatorCase("ArgMin", [signed], ["axis": .int(-1), "keepdims": .int(0)], gives: list(1, 0)),
    OperatorCase("ArgMax", [list(1, 1)], gives: list(0)),
    OperatorCase("ArgMax", [list(1, 1)], ["select_last_index": .int(1)], gives: list(1)),
    OperatorCase(
      "TopK", [floats([2, 3], [1, 3, 3, 4, 2, 5]), list(2)],
      gives: floats([2, 2], [3, 3, 5, 4]), ints([2, 2], [1, 2, 2, 0])),
    OperatorCase(
      "TopK", [signed, list(1)], ["axis": .int(0), "largest": .int(0)],
      gives: floats([1, 2], [0, -4]), ints([1, 2], [1, 0])),
    OperatorCase("CumSum", [grid, ints([], [1])], gives: floats([2, 3], [0, 1, 3, 3, 7, 12])),
    OperatorCase(
      "CumSum", [list(1, 2, 3), list(0)], ["exclusive": .int(1), "reverse": .int(1)],
      gives: list(5, 3, 0)),
  ]

  private static let products: [OperatorCase] = [
    OperatorCase("MatMul", [grid, count([3, 2])], gives: floats([2, 2], [10, 13, 28, 40])),
    OperatorCase("MatMul", [count([3]), count([3])], gives: floats([], [5])),
    OperatorCase("MatMul", [count([2]), grid], gives: floats([3], [3, 4, 5])),
    OperatorCase("MatMul", [grid, count([3])], gives: floats([2], [5, 14])),
    OperatorCase(
      "MatMul", [count([2, 1, 2]), count([2, 2])], gives: floats([2, 1, 2], [2, 3, 6, 11])),
    OperatorCase(
      "MatMul", [count([2, 1, 1, 2]), count([2, 2, 1])],
      gives: floats([2, 2, 1, 1], [1, 3, 3, 13])),
    OperatorCase(
      "MatMul", [ints([1, 2], [.max, 1]), ints([2, 1], [2, 5])], gives: ints([1, 1], [3])),
    OperatorCase(
      "MatMul", [floats([2, 0], []), floats([0, 1], [])], gives: floats([2, 1], [0, 0])),
    OperatorCase(
      "Gemm", [floats([2, 0], []), floats([0, 1], [])], gives: floats([2, 1], [0, 0])),
    OperatorCase(
      "Gemm", [floats([1, 0], []), floats([2, 0], []), count([2])],
      ["transB": .int(1), "beta": .float(3)], gives: floats([1, 2], [0, 3])),
    OperatorCase("MatMul", [floats([0, 2], []), count([2, 2])], gives: floats([0, 2], [])),
    OperatorCase(
      "Einsum", [grid, count([3, 2])], ["equation": .string("ij,jk->ik")],
      gives: floats([2, 2], [10, 13, 28, 40])),
    OperatorCase(
      "Einsum", [grid], ["equation": .string("ij->ji")],
      gives: floats([3, 2], [0, 3, 1, 4, 2, 5])),
    OperatorCase("Einsum", [count([2, 2])], ["equation": .string("ii")], gives: floats([], [3])),
    OperatorCase(
      "Einsum", [grid, count([3]), count([2])], ["equation": .string("ij, j, i -> ")],
      gives: floats([], [14])),
    OperatorCase(
      "Einsum", [count([2, 1, 2]), count([2, 2])], ["equation": .string("...j,jk")],
      gives: floats([2, 1, 2], [2, 3, 6, 11])),
    OperatorCase(
      "Einsum", [list(2), list(3, 4)], ["equation": .string("a,b->ba")],
      gives: ints([2, 1], [6, 8])),
  ]

  @Test(arguments: reductions + searches + products, [1, 2])
  func givesTheNumbers(test: OperatorCase, threads: Int) throws { try test.check(threads: threads) }

  /// Stacks whose rows are split over threads in the midst of a matrix, against plain loops.
  @Test(arguments: [1, 2, 5])
  func stacksAreMultipliedWhole(threads: Int) throws {
    var generator = RandomGenerator(seed: 7)
    let a = Tensor<Double>([3, 1, 37, 300], normalUsing: &generator)
    let b = Tensor<Double>([2, 300, 41], normalUsing: &generator)
    let y: Tensor<Double> = try compute(
      "MatMul", [.float64(a), .float64(b)], threads: threads)[0].require()
    for i in 0..<3 {
      for j in 0..<2 {
        for row in [0, 17, 36] {
          for column in [0, 40] {
            let sum = (0..<300).reduce(0.0) { $0 + a[i, 0, row, $1] * b[j, $1, column] }
            #expect(abs(y[i, j, row, column] - sum) < 1e-10)
          }
        }
      }
    }
  }

  private static let refusals: [Refusal] = [
    Refusal("ReduceSum", [grid, list(2)]),
    Refusal("ReduceSum", [grid, list(0, 0)]),
    Refusal("ReduceSum", [bools([1], [true])]),
    Refusal("ArgMax", [floats([0, 2], [])]),
    Refusal("ArgMax", [grid], ["axis": .int(2)]),
    Refusal("TopK", [grid, list(4)], outputs: 2),
    Refusal("TopK", [grid, list(-1)], outputs: 2),
    Refusal("TopK", [grid, list()], outputs: 2),
    Refusal("CumSum", [grid, ints([], [2])]),
    Refusal("CumSum", [grid, list(0, 1)]),
    Refusal("MatMul", [grid, grid]),
    Refusal("MatMul", [grid, floats([], [1])]),
    Refusal("MatMul", [count([2, 1, 2]), count([3, 2, 1])]),
    Refusal("MatMul", [grid, ints([3, 1], [1, 2, 3])]),
    Refusal("Einsum", [grid], ["equation": .string("ijk->i")]),
    Refusal("Einsum", [grid], ["equation": .string("ij->k")]),
    Refusal("Einsum", [grid], ["equation": .string("ij->ii")]),
    Refusal("Einsum", [grid], ["equation": .string("i.j->i")]),
    Refusal("Einsum", [grid], ["equation": .string("ij->i->j")]),
    Refusal("Einsum", [grid, grid], ["equation": .string("ij,jk->ik")]),
    Refusal("Einsum", [grid], ["equation": .string("ij,jk->ik")]),
  ]

  @Test(arguments: refusals)
  func refusesWhatMakesNoSense(test: Refusal) { test.check() }
}
