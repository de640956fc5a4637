// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
package import SwiftletCore
import SwiftletLinalg

/// Mean and covariance of rows of numbers, summed in double precision as they come.
package struct Moments {
  let width: Int
  private(set) var count = 0
  private var sums: [Double]
  /// Σ x·xᵀ; the upper triangle is filled.
  private var products: Tensor<Double>

  package init(width: Int) {
    self.width = width
    sums = [Double](repeating: 0, count: width)
    products = Tensor(zeros: [width, width])
  }

  /// Adds rows × width.
  ///
  /// - Complexity: rows · width².
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

  var mean: [Double] { sums.map { $0 / Double(max(1, count)) } }

  /// width × width, symmetric, both triangles filled.
  package var covariance: Tensor<Double> { symmetric(centre: mean) }

  /// The mean of x·xᵀ, symmetric, both triangles filled.
  package var secondMoment: Tensor<Double> {
    symmetric(centre: [Double](repeating: 0, count: width))
  }

  /// ``secondMoment``, moved towards that of equal and independent elements of the same power, the
  /// more the fewer rows there are: directions that few rows do not show are there all the same.
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

/// Powers of a symmetric matrix without negative eigenvalues, on the directions that it has.
///
/// Directions whose eigenvalue is below ``cut`` of the largest count as absent: data that span few
/// directions then give small factors, never a division by almost nothing.
struct SymmetricPowers {
  private let values: [Double]
  /// Eigenvectors as columns, n × rank.
  private let vectors: Tensor<Double>

  /// Factors are stored in fp32: what is 10⁹ times as weak as the strongest direction is noise to
  /// it.
  static let cut = 1e-9

  /// - Throws: `numerical` if the iteration stalls.
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

  var root: Tensor<Double> { matrix { $0.squareRoot() } }
  var inverseRoot: Tensor<Double> { matrix { 1 / $0.squareRoot() } }
  /// The Moore–Penrose inverse.
  var pseudoInverse: Tensor<Double> { matrix { 1 / $0 } }

  /// The inverse of the matrix with so much of its mean eigenvalue added to each.
  func inverse(damping: Double) -> Tensor<Double> {
    let shift = damping * values.reduce(0, +) / Double(max(1, values.count))
    return matrix { 1 / ($0 + shift) }
  }
}
