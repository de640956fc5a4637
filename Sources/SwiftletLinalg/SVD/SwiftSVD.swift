// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// The singular value decomposition without LAPACK: QR for tall matrices, bidiagonalization, divide
/// and conquer, and blocked reflectors.
enum SwiftSVD {
  typealias Factors<T: BLASElement> = (u: Tensor<T>, s: [T], vt: Tensor<T>)

  /// - Throws: `numerical` if an iteration stalls.
  /// - Complexity: O(m·n·min(m, n)) time; memory: a copy of A, and 4·min(m, n)² elements.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func svd<T: BLASElement>(_ a: Tensor<T>, full: Bool) throws -> Factors<T> {
    let (m, n) = (a.shape[0], a.shape[1])
    if m < n {
      let (u, s, vt) = try svd(a.transposed().contiguous(), full: full)
      return (vt.transposed().contiguous(), s, u.transposed().contiguous())
    }
    var work = a
    let scale = ScaledMatrix.normalize(&work)
    var u = Tensor<T>(zeros: [m, full ? m : n])
    var vt = Tensor<T>(uninitialized: [n, n])
    var values: [T] = []
    try work.withView { work in
      try u.withView { u in
        try vt.withView { vt in
          u.setIdentity()
          guard n > 0 else { return }
          // For a tall matrix the triangle of its QR factorization is cheaper to reduce.
          guard m >= n + n / 2 + 16 else {
            values = try reduce(work, u, vt)
            return
          }
          let tau = SwiftQR.factor(work)
          var triangle = Tensor<T>(zeros: [n, n])
          values = try triangle.withView { triangle in
            for i in 0..<n {
              for j in i..<n { triangle[i, j] = work[i, j] }
            }
            return try reduce(triangle, u.block(0..<n, 0..<n), vt)
          }
          Householder.apply(rowsOf: work.transposed, tau: tau, offset: 0, to: u)
        }
      }
    }
    return (u, values.map { $0 / scale }, vt)
  }

  /// The decomposition of a matrix that is at most slightly tall; overwrites its elements.
  ///
  /// - Parameter u: An identity, m×n or m×m.
  private static func reduce<T: BLASElement>(
    _ a: MatrixView<T>, _ u: MatrixView<T>, _ vt: MatrixView<T>
  ) throws -> [T] {
    let n = a.columns
    let bidiagonal = Bidiagonal(a)
    var left = Tensor<T>(zeros: [n, n])
    var right = Tensor<T>(zeros: [n, n])
    return try left.withView { left in
      try right.withView { right in
        let values = try BidiagonalDivide.solve(
          diagonal: bidiagonal.diagonal, superdiagonal: bidiagonal.superdiagonal, left: left,
          right: right)
        let order = Array(ascending(0..<n, by: values).reversed())
        let top = u.block(0..<n, 0..<n)
        vt.copyRows(order, of: right)
        // The sorted rows of `left` go into `right`, which is no longer needed.
        right.copyRows(order, of: left)
        top.copy(right.transposed)
        bidiagonal.applyQ(to: u)
        bidiagonal.applyP(to: vt.transposed)
        return order.map { values[$0] }
      }
    }
  }

  /// Only the singular values, in descending order.
  ///
  /// - Throws: `numerical` if the iteration stalls.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func singularValues<T: BLASElement>(of a: Tensor<T>) throws -> [T] {
    var work = a.shape[0] < a.shape[1] ? a.transposed().contiguous() : a
    let scale = ScaledMatrix.normalize(&work)
    let (m, n) = (work.shape[0], work.shape[1])
    let values = try work.withView { work in
      var bidiagonal: Bidiagonal<T>
      if m >= n + n / 2 + 16 {
        _ = SwiftQR.factor(work)
        let triangle = work.rowBlock(0..<n)
        for i in 0..<n { triangle.block(i..<i + 1, 0..<i).fill(with: 0) }
        bidiagonal = Bidiagonal(triangle)
      } else {
        bidiagonal = Bidiagonal(work)
      }
      return try BidiagonalQR.solve(
        diagonal: bidiagonal.diagonal, superdiagonal: bidiagonal.superdiagonal, left: nil,
        right: nil,
        negligible: T.negligible(bidiagonal.diagonal, bidiagonal.superdiagonal))
    }
    return values.sorted(by: >).map { $0 / scale }
  }
}
