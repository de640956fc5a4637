// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

extension SwiftEigen {
  /// Only the eigenvalues, in descending order. Reads only the upper triangle.
  ///
  /// - Throws: `numerical` if the iteration stalls.
  /// - Complexity: 4·n³ / 3 operations; memory: a copy of A.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func values<T: BLASElement>(of a: Tensor<T>) throws -> [T] {
    var work = a
    let scale = ScaledMatrix.normalizeUpper(&work)
    let values = try work.withView { work in
      let tridiagonal = Tridiagonal(work)
      let (diagonal, beside) = (tridiagonal.diagonal, tridiagonal.offDiagonal)
      return try TridiagonalQL.solve(
        diagonal: diagonal, offDiagonal: beside, vectors: nil,
        negligible: T.negligible(diagonal, beside))
    }
    return values.sorted(by: >).map { $0 / scale }
  }
}
