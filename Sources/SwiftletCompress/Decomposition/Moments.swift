// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
package import SwiftletCore
import SwiftletLinalg

/// Mean and covariance of rows of numbers, accumulated in double precision.
package struct Moments {
  /// Elements per row.
  let width: Int
  /// Rows added so far.
  private(set) var count = 0
  private var sums: [Double]
  /// Σ x·xᵀ; the upper triangle is filled.
  private var products: Tensor<Double>

  /// Moments of no rows.
  ///
  /// - Parameter width: Elements per row.
  package init(width: Int) {
    self.width = width
    sums = [Double](repeating: 0, count: width)
    products = Tensor(zeros: [width, width])
  }

  /// Adds rows × width numbers.
  ///
  /// - Complexity: O(rows · width²).
  package mutating func add(_ rows: Tensor<Float>) {
    let values = rows.converted(to: Double.self).contiguous()
    let number = values.shape[0]
    guard number > 0 else { return }
    let span = values.span
    for row in 0..<number {
      for i in 0..<width { sums[i] += span[row * width + i] }
    }
    let width = width
    var target = products.mutableSpan
    BLAS.syrk(
      n: width, k: number, a: span, lda: width, transposeA: true, beta: 1, c: &target, ldc: width)
    count += number
  }

  /// The mean of the rows; zeros if there are none.
  var mean: [Double] { sums.map { $0 / Double(max(1, count)) } }

  /// The covariance (divided by the number of rows), width × width, with both triangles filled.
  package var covariance: Tensor<Double> { symmetric(centre: mean) }

  /// The mean of x·xᵀ, width × width, with both triangles filled.
  package var secondMoment: Tensor<Double> {
    symmetric(centre: [Double](repeating: 0, count: width))
  }

  /// ``secondMoment``, shrunk towards that of independent elements of equal power, the more the
  /// fewer rows there are: directions that few rows show exist nevertheless.
  package var shrunkSecondMoment: Tensor<Double> {
    var result = secondMoment
    guard width > 0 else { return result }
    let mean = (0..<width).reduce(0) { $0 + result[$1, $1] } / Double(width)
    let share = Double(width) / Double(width + count)
    var values = result.mutableSpan
    for i in values.indices { values[i] *= 1 - share }
    for i in 0..<width { values[i * width + i] += share * mean }
    return result
  }

  private func symmetric(centre: [Double]) -> Tensor<Double> {
    var result = products
    let share = 1 / Double(max(1, count))
    var values = result.mutableSpan
    for i in 0..<width {
      for j in i..<width {
        let value = values[i * width + j] * share - centre[i] * centre[j]
        values[i * width + j] = value
        values[j * width + i] = value
      }
    }
    return result
  }
}

/// Powers of a symmetric positive semidefinite matrix on its range.
///
/// Directions whose eigenvalue is below ``cut`` times the largest one are treated as absent: data
/// that span few directions then lead to small factors, never to a division by almost zero.
struct SymmetricPowers {
  private let values: [Double]
  /// Eigenvectors as columns, n × rank.
  private let vectors: Tensor<Double>

  /// Factors are stored in fp32, for which directions 10⁹ times weaker than the strongest one are
  /// noise.
  static let cut = 1e-9

  /// Computes the eigenvalues and eigenvectors.
  ///
  /// - Throws: `numerical` if the iteration does not converge.
  /// - Source: LAPACK `dsyevd`.
  init(_ matrix: Tensor<Double>, threads: Threads) throws {
    let eigen = try SymmetricEigen(matrix, threads: threads)
    let limit = max(0, (eigen.values.first ?? 0) * Self.cut)
    let rank = eigen.values.count { $0 > limit }
    values = Array(eigen.values[..<rank])
    vectors = eigen.vectors.slice(axis: 1, range: 0..<rank).contiguous()
  }

  /// V · diag(f(λ)) · Vᵀ.
  private func matrix(_ power: (Double) -> Double) -> Tensor<Double> {
    let rank = values.count
    guard rank > 0 else { return Tensor(zeros: [vectors.shape[0], vectors.shape[0]]) }
    var scaled = vectors
    var span = scaled.mutableSpan
    for row in 0..<vectors.shape[0] {
      for i in 0..<rank { span[row * rank + i] *= power(values[i]) }
    }
    return matrixProduct(scaled, vectors, transposeB: true)
  }

  /// The symmetric square root.
  var root: Tensor<Double> { matrix { $0.squareRoot() } }
  /// The pseudoinverse of ``root``.
  var inverseRoot: Tensor<Double> { matrix { 1 / $0.squareRoot() } }
  /// The Moore–Penrose inverse.
  var pseudoInverse: Tensor<Double> { matrix { 1 / $0 } }

  /// The inverse on the range, with `damping` times the mean eigenvalue added to each eigenvalue.
  func inverse(damping: Double) -> Tensor<Double> {
    let shift = damping * values.reduce(0, +) / Double(max(1, values.count))
    return matrix { 1 / ($0 + shift) }
  }
}
