// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// QR factorizations by blocked Householder reflectors.
///
/// - Source: Golub & Van Loan, "Matrix Computations", 5.2 and 5.4; LAPACK `?geqrf`, `?geqp3`.
enum SwiftQR {
  /// A ← R on and above the diagonal, reflectors below it.
  ///
  /// - Returns: τ of every reflector.
  static func factor<T: BLASElement>(_ a: MatrixView<T>) -> [T] {
    let kernels = T._routines.kernels
    let (m, n) = (a.rows, a.columns)
    let rank = min(m, n)
    var tau = [T](repeating: 0, count: rank)
    for start in stride(from: 0, to: rank, by: Householder.blockSize) {
      let end = min(start + Householder.blockSize, rank)
      let (height, width) = (m - start, end - start)
      // The panel's columns become packed rows.
      var panel = Tensor<T>(uninitialized: [width, height])
      panel.withView { panel in
        let source = a.block(start..<m, start..<end)
        panel.copy(source.transposed)
        var products = [T](repeating: 0, count: width)
        for i in 0..<width {
          let x = unsafe panel.base + i * height + i
          let (factor, beta) = unsafe Householder.makeReflector(x, count: height - i)
          tau[start + i] = factor
          let rest = width - i - 1
          if factor != 0 && rest > 0 {
            for j in 0..<rest { products[j] = 0 }
            let next = unsafe panel.base + (i + 1) * height + i
            unsafe products.withUnsafeMutableBufferPointer { products in
              unsafe kernels.gemv(
                rest, height - i, factor, next, height, x, products.baseAddress!)
              for j in 0..<rest {
                unsafe kernels.axpy(height - i, -products[j], x, next + j * height)
              }
            }
          }
          unsafe x[0] = beta
        }
        source.copy(panel.transposed)
        guard end < n else { return }
        for i in 0..<width {
          for j in 0..<i { panel[i, j] = 0 }
          panel[i, i] = 1
        }
        var triangle = Householder.triangle(panel, tau: Array(tau[start..<end]))
        Householder.apply(
          panel, &triangle, transposed: true, to: a.block(start..<m, end..<n))
      }
    }
    return tau
  }

  /// The thin factors: see ``LAPACK/qr(_:threads:workspace:)``.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func qr<T: BLASElement>(_ a: Tensor<T>) -> (q: Tensor<T>, r: Tensor<T>) {
    let (m, n) = (a.shape[0], a.shape[1])
    let rank = min(m, n)
    var factored = a
    var q = Tensor<T>(uninitialized: [m, rank])
    var r = Tensor<T>(zeros: [rank, n])
    factored.withView { factored in
      let tau = factor(factored)
      r.withView { r in
        for i in 0..<rank {
          for j in i..<n { r[i, j] = factored[i, j] }
        }
      }
      q.withView { q in
        q.setIdentity()
        let reflectors = factored.columnBlock(0..<rank)
        Householder.apply(rowsOf: reflectors.transposed, tau: tau, offset: 0, to: q)
      }
    }
    return (q, r)
  }

  /// See ``LAPACK/pivotedQR(_:threads:workspace:)``. Complexity: O(m·n·r), memory-bound.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func pivotedQR<T: BLASElement>(
    _ a: Tensor<T>
  ) -> (q: Tensor<T>, r: Tensor<T>, permutation: [Int]) {
    let kernels = T._routines.kernels
    let (m, n) = (a.shape[0], a.shape[1])
    let rank = min(m, n)
    var permutation = Array(0..<n)
    var tau = [T](repeating: 0, count: rank)
    var columns = a.transposed().contiguous()
    var q = Tensor<T>(uninitialized: [m, rank])
    var r = Tensor<T>(zeros: [rank, n])
    columns.withView { columns in
      // The remaining length of every column, and the length it was last computed from.
      var norms = (0..<n).map { unsafe Householder.norm(columns.base + $0 * m, count: m) }
      var exact = norms
      var products = [T](repeating: 0, count: n)
      for i in 0..<rank {
        let pivot = (i..<n).max { norms[$0] < norms[$1] }!
        if pivot != i {
          for k in 0..<m {
            let kept = columns[i, k]
            columns[i, k] = columns[pivot, k]
            columns[pivot, k] = kept
          }
          permutation.swapAt(i, pivot)
          norms.swapAt(i, pivot)
          exact.swapAt(i, pivot)
        }
        let x = unsafe columns.base + i * m + i
        let (factor, beta) = unsafe Householder.makeReflector(x, count: m - i)
        tau[i] = factor
        let rest = n - i - 1
        if factor != 0 && rest > 0 {
          for j in 0..<rest { products[j] = 0 }
          let next = unsafe x + m
          unsafe products.withUnsafeMutableBufferPointer { products in
            unsafe kernels.gemv(rest, m - i, factor, next, m, x, products.baseAddress!)
            for j in 0..<rest { unsafe kernels.axpy(m - i, -products[j], x, next + j * m) }
          }
        }
        unsafe x[0] = beta
        for j in i + 1..<n where norms[j] > 0 {
          // Reduced by the row just finished; recomputed once cancellation has consumed it.
          let ratio = abs(columns[j, i]) / norms[j]
          let left = max(0, (1 - ratio) * (1 + ratio))
          let relative = norms[j] / exact[j]
          if left * relative * relative <= T.ulpOfOne.squareRoot() {
            norms[j] = unsafe Householder.norm(columns.base + j * m + i + 1, count: m - i - 1)
            exact[j] = norms[j]
          } else {
            norms[j] *= left.squareRoot()
          }
        }
      }
      r.withView { r in
        for i in 0..<rank {
          for j in i..<n { r[i, j] = columns[j, i] }
        }
      }
      q.withView { q in
        q.setIdentity()
        Householder.apply(rowsOf: columns.rowBlock(0..<rank), tau: tau, offset: 0, to: q)
      }
    }
    return (q, r, permutation)
  }
}
