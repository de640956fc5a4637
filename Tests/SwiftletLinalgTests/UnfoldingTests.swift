// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct UnfoldingTests {
  static let shapes: [Shape] = [
    [5], [4, 3], [3, 4, 5], [2, 3, 4, 5], [1, 3, 1, 2], [3, 0, 2], [2, 1, 2, 3, 2],
  ]

  @Test(arguments: shapes)
  func unfoldingAndFoldingAreInverse(shape: Shape) throws {
    var generator = RandomGenerator(seed: 1)
    let tensor = Tensor<Float>(shape, normalUsing: &generator)
    for mode in 0..<shape.rank {
      let matrix = try tensor.unfolded(mode: mode)
      #expect(matrix.shape[0] == shape[mode])
      #expect(try matrix.folded(mode: mode, to: shape) == tensor)
    }
  }

  @Test func columnsRunThroughTheOtherModesLastFastest() throws {
    let tensor = Tensor<Double>([2, 3, 4], (0..<24).map(Double.init))
    let unfoldings = try (0..<3).map { try tensor.unfolded(mode: $0) }
    for i in 0..<2 {
      for j in 0..<3 {
        for k in 0..<4 {
          #expect(unfoldings[0][i, j * 4 + k] == tensor[i, j, k])
          #expect(unfoldings[1][j, i * 4 + k] == tensor[i, j, k])
          #expect(unfoldings[2][k, i * 3 + j] == tensor[i, j, k])
        }
      }
    }
  }

  /// Also of a view that is not packed, and with the matrix given as its transpose.
  @Test(arguments: [0, 1, 2], [false, true])
  func modeProductAgreesWithLoops(mode: Int, isView: Bool) throws {
    var generator = RandomGenerator(seed: 2)
    let stored = Tensor<Double>([5, 4, 3], normalUsing: &generator)
    let tensor = isView ? stored.permuted(to: [2, 0, 1]) : stored
    let shape = tensor.shape
    let matrix = Tensor<Double>([6, shape[mode]], normalUsing: &generator)
    var plain = Tensor<Double>(zeros: shape.replacing(axis: mode, with: 6))
    for i in 0..<shape[0] {
      for j in 0..<shape[1] {
        for k in 0..<shape[2] {
          for row in 0..<6 {
            let value = matrix[row, [i, j, k][mode]] * tensor[i, j, k]
            switch mode {
            case 0: plain[row, j, k] += value
            case 1: plain[i, row, k] += value
            default: plain[i, j, row] += value
            }
          }
        }
      }
    }
    #expect(try TestRatio.difference(plain, tensor.modeProduct(matrix, mode: mode)) < 30)
    let flipped = matrix.transposed()
    let product = try tensor.modeProduct(
      flipped, mode: mode, transposed: true, threads: Threads(count: 2))
    #expect(TestRatio.difference(plain, product) < 30)
  }

  @Test func modeProductIsAProductOfTheUnfolding() throws {
    var generator = RandomGenerator(seed: 3)
    let tensor = Tensor<Double>([3, 4, 2, 5], normalUsing: &generator)
    for mode in 0..<4 {
      let matrix = Tensor<Double>([2, tensor.shape[mode]], normalUsing: &generator)
      let product = try tensor.modeProduct(matrix, mode: mode).unfolded(mode: mode)
      #expect(
        try TestRatio.difference(.product(matrix, tensor.unfolded(mode: mode)), product) < 30)
    }
  }

  @Test func modeProductOfAnEmptyTensor() throws {
    let tensor = Tensor<Float>(zeros: [2, 0, 3])
    #expect(try tensor.modeProduct(Tensor(zeros: [4, 3]), mode: 2).shape == [2, 0, 4])
    let filled = try tensor.modeProduct(Tensor(zeros: [4, 0]), mode: 1)
    #expect(filled == Tensor<Float>(zeros: [2, 4, 3]))
  }
}
