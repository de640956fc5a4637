// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// BLAS operations as plain loops: the oracle of the self-check and the tests.
package enum ReferenceBLAS {
  /// See ``BLAS/gemm(m:n:k:alpha:a:lda:transposeA:b:ldb:transposeB:beta:c:ldc:)``.
  @specialized(where T == Float)
  @specialized(where T == Double)
  package static func gemm<T: BLASElement>(
    m: Int, n: Int, k: Int, alpha: T, a: Span<T>, lda: Int, transposeA: Bool, b: Span<T>, ldb: Int,
    transposeB: Bool, beta: T, c: inout MutableSpan<T>, ldc: Int
  ) {
    // With B in rows along n the innermost loop runs over packed rows and vectorizes.
    let rows = transposeB ? transposed(b, rows: n, columns: k, leading: ldb) : []
    for i in 0..<m {
      var target = c.part(i * ldc..<i * ldc + n)
      for j in target.indices { target[j] = beta == 0 ? 0 : beta * target[j] }
      guard alpha != 0 else { continue }
      for p in 0..<k {
        let factor = alpha * (transposeA ? a[p * lda + i] : a[i * lda + p])
        if transposeB {
          addRow(factor, rows.span.extracting(p * n..<(p + 1) * n), &target)
        } else {
          addRow(factor, b.extracting(p * ldb..<p * ldb + n), &target)
        }
      }
    }
  }

  @inline(__always)
  private static func addRow<T: BLASElement>(
    _ factor: T, _ row: Span<T>, _ target: inout MutableSpan<T>
  ) {
    for j in target.indices { target[j] += factor * row[j] }
  }

  private static func transposed<T: BLASElement>(
    _ matrix: Span<T>, rows: Int, columns: Int, leading: Int
  ) -> [T] {
    var result = [T](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for column in 0..<columns { result[column * rows + row] = matrix[row * leading + column] }
    }
    return result
  }
}
