// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// A = Q · T · Qᵀ with T tridiagonal, for a symmetric matrix of which only the upper triangle is
/// read. Half of the work is matrix products.
///
/// - Source: LAPACK `?sytrd`, `?latrd`.
struct Tridiagonal<T: BLASElement> {
  private(set) var diagonal: [T]
  private(set) var offDiagonal: [T]
  private var tau: [T]
  /// Reflectors in the rows after the superdiagonal.
  private let factored: MatrixView<T>

  /// Factors a matrix in place; the matrix must not change while Q is in use.
  init(_ a: MatrixView<T>) {
    let n = a.rows
    factored = a
    diagonal = [T](repeating: 0, count: n)
    offDiagonal = [T](repeating: 0, count: max(0, n - 1))
    tau = offDiagonal
    let size = Householder.blockSize
    // A − V·Wᵀ − W·Vᵀ is A after the reflectors so far. Rows of `left` are v₀, w₀, v₁, …, rows of
    // `right` are w₀, v₀, w₁, ….
    var left = Tensor<T>(zeros: [2 * size, n])
    var right = Tensor<T>(zeros: [2 * size, n])
    left.withView { left in
      right.withView { right in
        for start in stride(from: 0, to: n, by: size) {
          let end = min(start + size, n)
          reducePanel(start..<end, a, left, right)
          guard end < n else { break }
          let used = 0..<2 * (end - start)
          a.block(end..<n, end..<n).addUpper(
            -1, left.block(used, end..<n).transposed, right.block(used, end..<n))
        }
      }
    }
  }

  private mutating func reducePanel(
    _ panel: Range<Int>, _ a: MatrixView<T>, _ left: MatrixView<T>, _ right: MatrixView<T>
  ) {
    let kernels = T._routines.kernels
    let n = a.rows
    var coefficients = Tensor<T>(zeros: [2 * panel.count])
    var span = coefficients.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { buffer in
      let coefficients = buffer.baseAddress!
      for k in panel {
        let done = 2 * (k - panel.lowerBound)
        let v = unsafe left.base + done * n
        let w = unsafe right.base + done * n

        // The updated row k: its diagonal element, and v.
        for j in k..<n { unsafe v[j] = a[k, j] }
        for l in 0..<done { unsafe coefficients[l] = left[l, k] }
        unsafe kernels.gemvTransposed(done, n - k, -1, right.base + k, n, coefficients, v + k)
        diagonal[k] = unsafe v[k]
        let length = n - k - 1
        guard length > 0 else { continue }
        let next = k + 1
        let (factor, beta) = unsafe Householder.makeReflector(v + next, count: length)
        (tau[k], offDiagonal[k]) = (factor, beta)
        for j in next..<n { unsafe a[k, j] = v[j] }

        // w = τ · (remaining part of A) · v, minus its part along v.
        unsafe w.update(repeating: 0, count: n)
        unsafe kernels.symv(
          length, 1, a.base + next * a.rowStep + next, a.rowStep, v + next, w + next)
        unsafe coefficients.update(repeating: 0, count: done)
        unsafe kernels.gemv(done, length, 1, left.base + next, n, v + next, coefficients)
        unsafe kernels.gemvTransposed(
          done, length, -1, right.base + next, n, coefficients, w + next)
        for j in next..<n { unsafe w[j] *= factor }
        let along = unsafe kernels.dot(length, w + next, v + next)
        unsafe kernels.axpy(length, -factor / 2 * along, v + next, w + next)

        let (secondLeft, secondRight) = unsafe (v + n, w + n)
        for j in next..<n {
          unsafe secondLeft[j] = unsafe w[j]
          unsafe secondRight[j] = unsafe v[j]
        }
      }
    }
  }

  /// c ← Q · c.
  func applyQ(to c: MatrixView<T>) {
    Householder.apply(rowsOf: factored, tau: tau, offset: 1, to: c)
  }
}
