// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// A = Q · B · Pᵀ with B upper bidiagonal, for m ≥ n. Half of the work is matrix products.
///
/// - Source: LAPACK `?gebrd`, `?labrd`; Dongarra, Hammarling & Sorensen (1989).
struct Bidiagonal<T: BLASElement> {
  private(set) var diagonal: [T]
  private(set) var superdiagonal: [T]
  private var tauQ: [T]
  private var tauP: [T]
  /// Reflectors of Q in the columns below the diagonal, those of P in the rows after the
  /// superdiagonal.
  private let factored: MatrixView<T>

  /// Factors a matrix in place; the matrix must not change while Q and P are in use.
  init(_ a: MatrixView<T>) {
    precondition(a.rows >= a.columns, "more columns than rows")
    let n = a.columns
    factored = a
    diagonal = [T](repeating: 0, count: n)
    superdiagonal = [T](repeating: 0, count: max(0, n - 1))
    tauQ = diagonal
    tauP = superdiagonal
    let size = Householder.blockSize
    // A − V·Yᵀ − X·Uᵀ is A after the reflectors so far. Rows of `left` are v₀, x₀, v₁, x₁, …; rows
    // of `right` are y₀, u₀, y₁, u₁, …: one product serves both terms.
    var left = Tensor<T>(zeros: [2 * size, a.rows])
    var right = Tensor<T>(zeros: [2 * size, n])
    left.withView { left in
      right.withView { right in
        for start in stride(from: 0, to: n, by: size) {
          let end = min(start + size, n)
          reducePanel(start..<end, a, left, right)
          guard end < n else { break }
          let used = 0..<2 * (end - start)
          a.block(end..<a.rows, end..<n).add(
            -1, left.block(used, end..<a.rows).transposed, right.block(used, end..<n))
        }
      }
    }
  }

  private mutating func reducePanel(
    _ panel: Range<Int>, _ a: MatrixView<T>, _ left: MatrixView<T>, _ right: MatrixView<T>
  ) {
    let kernels = T._routines.kernels
    let (m, n, lda) = (a.rows, a.columns, a.rowStep)
    var coefficients = Tensor<T>(zeros: [2 * panel.count])
    var span = coefficients.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { buffer in
      let coefficients = buffer.baseAddress!
      for k in panel {
        let done = 2 * (k - panel.lowerBound)
        let v = unsafe left.base + done * m
        let x = unsafe v + m
        let y = unsafe right.base + done * n
        let u = unsafe y + n

        // The updated column k becomes v.
        for i in k..<m { unsafe v[i] = a[i, k] }
        for l in 0..<done { unsafe coefficients[l] = right[l, k] }
        unsafe kernels.gemvTransposed(done, m - k, -1, left.base + k, m, coefficients, v + k)
        let (tau, beta) = unsafe Householder.makeReflector(v + k, count: m - k)
        (tauQ[k], diagonal[k]) = (tau, beta)
        for i in k..<m { unsafe a[i, k] = v[i] }
        guard k + 1 < n else { continue }

        // y = τ · (remaining part of A)ᵀ · v.
        let width = n - k - 1
        unsafe clear(y + k + 1, width)
        unsafe kernels.gemvTransposed(
          m - k, width, 1, a.base + k * lda + k + 1, lda, v + k, y + k + 1)
        unsafe clear(coefficients, done)
        unsafe kernels.gemv(done, m - k, 1, left.base + k, m, v + k, coefficients)
        unsafe kernels.gemvTransposed(
          done, width, -1, right.base + k + 1, n, coefficients, y + k + 1)
        for j in k + 1..<n { unsafe y[j] *= tau }

        // The updated row k becomes u.
        for j in k + 1..<n { unsafe u[j] = a[k, j] }
        for l in 0...done { unsafe coefficients[l] = left[l, k] }
        unsafe kernels.gemvTransposed(
          done + 1, width, -1, right.base + k + 1, n, coefficients, u + k + 1)
        let (rowTau, rowBeta) = unsafe Householder.makeReflector(u + k + 1, count: width)
        (tauP[k], superdiagonal[k]) = (rowTau, rowBeta)
        for j in k + 1..<n { unsafe a[k, j] = u[j] }

        // x = τ · (remaining part of A) · u.
        let height = m - k - 1
        unsafe clear(x + k + 1, height)
        unsafe kernels.gemv(
          height, width, 1, a.base + (k + 1) * lda + k + 1, lda, u + k + 1, x + k + 1)
        unsafe clear(coefficients, done + 1)
        unsafe kernels.gemv(done + 1, width, 1, right.base + k + 1, n, u + k + 1, coefficients)
        unsafe kernels.gemvTransposed(
          done + 1, height, -1, left.base + k + 1, m, coefficients, x + k + 1)
        for i in k + 1..<m { unsafe x[i] *= rowTau }
      }
    }
  }

  private func clear(_ x: UnsafeMutablePointer<T>, _ count: Int) {
    unsafe x.update(repeating: 0, count: count)
  }

  /// c ← Q · c.
  func applyQ(to c: MatrixView<T>) {
    Householder.apply(rowsOf: factored.transposed, tau: tauQ, offset: 0, to: c)
  }

  /// c ← P · c.
  func applyP(to c: MatrixView<T>) {
    Householder.apply(
      rowsOf: factored.rowBlock(0..<factored.columns), tau: tauP, offset: 1, to: c)
  }
}
