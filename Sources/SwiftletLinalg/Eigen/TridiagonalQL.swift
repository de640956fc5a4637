// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Eigenvalues of a symmetric tridiagonal matrix by implicit QL steps that also rotate its vectors.
///
/// - Source: Bowdler, Martin, Reinsch & Wilkinson, "The QR and QL algorithms for symmetric
///   matrices" (1968); LAPACK `?steqr`.
enum TridiagonalQL {
  /// - Parameters:
  ///   - vectors: A matrix whose rows are rotated along, or none.
  ///   - negligible: Off-diagonal elements up to this magnitude count as 0; see
  ///     `BLASElement.negligible(_:_:)`.
  /// - Returns: The eigenvalues, unordered: value i belongs to row i.
  /// - Throws: `numerical` if the iteration stalls.
  static func solve<T: BLASElement>(
    diagonal: [T], offDiagonal: [T], vectors: MatrixView<T>?, negligible: T
  ) throws -> [T] {
    let n = diagonal.count
    var d = diagonal
    var e = offDiagonal + [0]
    for start in 0..<n {
      var steps = 0
      while true {
        var end = start
        while end < n - 1,
          abs(e[end]) > max(negligible, T.ulpOfOne / 2 * (abs(d[end]) + abs(d[end + 1])))
        {
          end += 1
        }
        if end == start { break }
        steps += 1
        guard steps <= 60 else {
          throw SwiftletError(.numerical, "tridiagonal QL did not converge", at: "\(n) values")
        }
        step(&d, &e, start, end, vectors)
      }
    }
    return d
  }

  /// One step with Wilkinson's shift on the rows `start ... end`.
  private static func step<T: BLASElement>(
    _ d: inout [T], _ e: inout [T], _ start: Int, _ end: Int, _ vectors: MatrixView<T>?
  ) {
    let half = (d[start + 1] - d[start]) / (2 * e[start])
    let root = T.length(half, 1)
    var g = d[end] - d[start] + e[start] / (half + (half < 0 ? -root : root))
    var (c, s): (T, T) = (1, 1)
    var moved: T = 0
    for i in (start..<end).reversed() {
      let (f, b) = (s * e[i], c * e[i])
      let r = T.length(f, g)
      e[i + 1] = r
      if r == 0 {
        // The step has split the matrix: continue with the smaller part.
        d[i + 1] -= moved
        e[end] = 0
        return
      }
      (s, c) = (f / r, g / r)
      g = d[i + 1] - moved
      let t = (d[i] - g) * s + 2 * c * b
      moved = s * t
      d[i + 1] = g + moved
      g = c * t - b
      if let vectors {
        unsafe T._routines.kernels.rotate(
          vectors.columns, c, s, vectors.base + (i + 1) * vectors.rowStep,
          vectors.base + i * vectors.rowStep)
      }
    }
    d[start] -= moved
    e[start] = g
    e[end] = 0
  }
}
