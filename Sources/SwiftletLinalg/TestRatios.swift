// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
public import SwiftletCore

/// LAPACK's test ratios: the distance of a decomposition from the matrix, relative to the expected
/// rounding error. A correct result stays below 30, mostly below 1, for every matrix.
///
/// - Source: LAPACK's `TESTING` programs.
public struct TestRatios: Sendable {
  /// The upper bound for correct decompositions.
  public static let limit = 30.0

  /// ‖A − product of the factors‖ / (‖A‖ · max(m, n) · ε), Frobenius norms; 0/0 is 0. If elements
  /// are subnormal, ε is their spacing.
  public let reconstruction: Double
  /// The largest ‖I − QᵀQ‖ / (rows of Q · ε) of the orthonormal factors, Frobenius norms.
  public let orthogonality: Double
}

extension SVD {
  /// How accurately the full decomposition reconstructs the matrix. For a truncated one, the
  /// reconstruction ratio measures the truncated part.
  ///
  /// - Complexity: O(m·n·r).
  public func testRatios(_ matrix: Tensor<T>) -> TestRatios {
    TestRatios(
      reconstruction: reconstructionRatio(matrix, reconstructed()),
      orthogonality: max(orthogonalityRatio(u), orthogonalityRatio(vt.transposed())))
  }
}

extension SymmetricEigen {
  /// How accurately the decomposition reconstructs the matrix, of which both triangles are read.
  ///
  /// - Complexity: O(n³).
  public func testRatios(_ matrix: Tensor<T>) -> TestRatios {
    var scaled = vectors
    scaled.withView { columns in
      for (j, value) in values.enumerated() { columns.columnBlock(j..<j + 1).scale(by: value) }
    }
    return TestRatios(
      reconstruction: reconstructionRatio(matrix, matrixProduct(scaled, vectors, transposeB: true)),
      orthogonality: orthogonalityRatio(vectors))
  }
}

private func reconstructionRatio<T: BLASElement>(_ a: Tensor<T>, _ b: Tensor<T>) -> Double {
  let a = a.contiguous()
  var (error, size) = (0.0, 0.0)
  let (x, y) = (a.span, b.span)
  // Scaled by the largest element, squares stay in range.
  var largest = Double.leastNonzeroMagnitude
  for i in x.indices { largest = max(largest, abs(Double(x[i]))) }
  for i in x.indices {
    let exact = Double(x[i]) / largest
    let difference = Double(y[i]) / largest - exact
    error += difference * difference
    size += exact * exact
  }
  guard error.isFinite else { return .infinity }
  guard error > 0 else { return 0 }
  let extent = Double(max(a.shape[0], a.shape[1]))
  let epsilon = max(Double(T.ulpOfOne), Double(T.leastNonzeroMagnitude) / largest)
  return (error / size).squareRoot() / (extent * epsilon)
}

private func orthogonalityRatio<T: BLASElement>(_ q: Tensor<T>) -> Double {
  let gram = matrixProduct(q, q, transposeA: true)
  let n = gram.shape[0]
  var error = 0.0
  let elements = gram.span
  for i in elements.indices {
    let difference = Double(elements[i]) - (i % (n + 1) == 0 ? 1 : 0)
    error += difference * difference
  }
  return error.squareRoot() / (Double(max(1, q.shape[0])) * Double(T.ulpOfOne))
}
