// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// The singular value decomposition from the eigenvalues of AᵀA.
enum GramSVD {
  /// - Throws: `numerical` if the iteration stalls.
  /// - Complexity: Two products of m·n·min(m, n) and one symmetric eigenproblem.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func svd<T: BLASElement>(_ matrix: Tensor<T>, threads: Threads) throws -> SwiftSVD.Factors<T> {
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    if m < n {
      let (u, s, vt) = try svd(matrix.transposed().contiguous(), threads: threads)
      return (vt.transposed().contiguous(), s, u.transposed().contiguous())
    }
    var a = matrix.contiguous()
    let scale = ScaledMatrix.normalize(&a)
    let eigen = try SymmetricEigen(
      matrixProduct(a, a, transposeA: true, threads: threads), threads: threads)
    let values = eigen.values.map { max(0, $0).squareRoot() }
    var u = matrixProduct(a, eigen.vectors, threads: threads)
    u.withView { u in
      for (j, value) in values.enumerated() where value > 0 {
        u.columnBlock(j..<j + 1).divide(by: value)
      }
    }
    return (u, values.map { $0 / scale }, eigen.vectors.transposed().contiguous())
  }
}
