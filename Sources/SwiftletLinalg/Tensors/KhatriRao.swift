// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Column-wise products of factors.
enum KhatriRao {
  /// Σ_i partial[o, i, n, r] · factor[i, r] of a tensor outer×I×inner×R, as (outer·inner)×R.
  static func contracted(
    _ partial: Tensor<Double>, outer: Int, with factor: Tensor<Double>
  ) -> Tensor<Double> {
    let (extent, rank) = (factor.shape[0], factor.shape[1])
    let inner = partial.count / (outer * extent * rank)
    var result = Tensor<Double>(zeros: [outer * inner, rank])
    let (source, weights) = (partial.span, factor.span)
    var target = result.mutableSpan
    for o in 0..<outer {
      for i in 0..<extent {
        for n in 0..<inner {
          let (to, from) = ((o * inner + n) * rank, ((o * extent + i) * inner + n) * rank)
          for r in 0..<rank { target[to + r] += source[from + r] * weights[i * rank + r] }
        }
      }
    }
    return result
  }

  /// Σ_r weights[r] · a_r ⊗ b_r ⊗ …, for the columns a_r, b_r, … of the factors.
  static func model(
    weights: [Double], factors: [Tensor<Double>], shape: Shape, _ threads: Threads
  ) -> Tensor<Double> {
    var product = Tensor<Double>([1, weights.count], weights)
    for factor in factors.dropLast() { product = product.columnProducts(with: factor) }
    return matrixProduct(product, factors[factors.count - 1], transposeB: true, threads: threads)
      .reshaped(to: shape)
  }
}

extension Tensor where Element == Double {
  /// The Khatri–Rao product of matrices m×R and n×R: (m·n)×R, with rows of the second fastest.
  fileprivate func columnProducts(with other: Tensor) -> Tensor {
    let (rows, others, rank) = (shape[0], other.shape[0], shape[1])
    var result = Tensor(uninitialized: [rows * others, rank])
    let (a, b) = (span, other.span)
    var target = result.mutableSpan
    for i in 0..<rows {
      for j in 0..<others {
        for r in 0..<rank {
          target[(i * others + j) * rank + r] = a[i * rank + r] * b[j * rank + r]
        }
      }
    }
    return result
  }

  /// Multiplies each element by its counterpart.
  mutating func multiply(by other: Tensor) {
    let factors = other.span
    var values = mutableSpan
    for i in factors.indices { values[i] *= factors[i] }
  }

  /// Extrapolates from `earlier` through this tensor, by a multiple of the difference.
  mutating func extrapolate(from earlier: Tensor, by factor: Double) {
    let start = earlier.span
    var values = mutableSpan
    for i in start.indices { values[i] += factor * (values[i] - start[i]) }
  }

  /// Multiplies each column of a matrix by a number.
  mutating func scaleColumns(by numbers: [Double]) {
    let rows = shape[0]
    var values = mutableSpan
    for row in 0..<rows {
      for column in numbers.indices { values[row * numbers.count + column] *= numbers[column] }
    }
  }

  /// Scales the columns of a matrix to unit vectors, and returns their previous lengths. A zero
  /// column becomes the first unit vector.
  mutating func normaliseColumns() -> [Double] {
    let (rows, rank) = (shape[0], shape[1])
    var lengths = [Double](repeating: 0, count: rank)
    for row in 0..<rows {
      for r in 0..<rank { lengths[r] += self[row, r] * self[row, r] }
    }
    lengths = lengths.map { $0.squareRoot() }
    scaleColumns(by: lengths.map { $0 > 0 ? 1 / $0 : 0 })
    for r in 0..<rank where lengths[r] == 0 { self[0, r] = 1 }
    return lengths
  }

  /// The columns of a matrix in another order.
  func columns(_ order: [Int]) -> Tensor {
    var result = self
    for row in 0..<shape[0] {
      for (place, r) in order.enumerated() { result[row, place] = self[row, r] }
    }
    return result
  }

  /// Σ x · y.
  func inner(_ other: Tensor) -> Double {
    let (x, y) = (span, other.span)
    var sum = 0.0
    for i in x.indices { sum += x[i] * y[i] }
    return sum
  }
}
