// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Eigenvalues of symmetric matrices without LAPACK: tridiagonalization, divide and conquer, and
/// blocked reflectors.
enum SwiftEigen {
  /// The `count` largest eigenvalues in descending order, and their vectors as rows. Reads only the
  /// upper triangle.
  ///
  /// - Throws: `numerical` if an iteration stalls.
  /// - Complexity: O(n³) time; memory: a copy of A, and 3·n² elements.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func eigen<T: BLASElement>(
    _ a: Tensor<T>, count: Int
  ) throws -> (values: [T], vectors: Tensor<T>) {
    let n = a.shape[0]
    var work = a
    let scale = ScaledMatrix.normalizeUpper(&work)
    var vectors = Tensor<T>(uninitialized: [count, n])
    let values = try work.withView { work in
      let tridiagonal = Tridiagonal(work)
      var all = Tensor<T>(zeros: [n, n])
      let values = try all.withView { all in
        let values = try TridiagonalDivide.solve(
          diagonal: tridiagonal.diagonal, offDiagonal: tridiagonal.offDiagonal, vectors: all)
        let order = Array(ascending(0..<n, by: values).reversed().prefix(count))
        vectors.withView { vectors in
          vectors.copyRows(order, of: all)
          tridiagonal.applyQ(to: vectors.transposed)
        }
        return order.map { values[$0] }
      }
      return values
    }
    return (values.map { $0 / scale }, vectors)
  }
}
