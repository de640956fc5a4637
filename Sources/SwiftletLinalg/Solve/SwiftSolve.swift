// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Blocked triangular factorizations.
///
/// - Source: Golub & Van Loan, "Matrix Computations", 3.4 and 4.2; LAPACK `?getrf`, `?potrf`.
enum SwiftSolve {
  private static let blockSize = 64

  /// See ``LAPACK/cholesky(_:threads:)``.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func cholesky<T: BLASElement>(_ a: Tensor<T>) throws -> Tensor<T> {
    let n = a.shape[0]
    var l = a
    try l.withView { l in
      for start in stride(from: 0, to: n, by: blockSize) {
        let end = min(start + blockSize, n)
        for j in start..<end {
          var pivot = l[j, j]
          for k in start..<j { pivot -= l[j, k] * l[j, k] }
          guard pivot > 0 else { throw LAPACK.notPositiveDefinite(minor: j + 1, n) }
          l[j, j] = pivot.squareRoot()
          for i in j + 1..<end {
            var sum = l[i, j]
            for k in start..<j { sum -= l[i, k] * l[j, k] }
            l[i, j] = sum / l[j, j]
          }
        }
        guard end < n else { break }
        // Below the block: X · L₁₁ᵀ = A₂₁, that is L₁₁ · Xᵀ = A₂₁ᵀ.
        let diagonal = l.block(start..<end, start..<end)
        let below = l.block(end..<n, start..<end)
        below.transposed.solve(diagonal, isLower: true, isUnit: false)
        l.block(end..<n, end..<n).transposed.addUpper(-1, below, below.transposed)
      }
      for i in 0..<n {
        for j in i + 1..<n { l[i, j] = 0 }
      }
    }
    return l
  }

  /// See ``LAPACK/lu(_:threads:)``.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func lu<T: BLASElement>(
    _ a: Tensor<T>
  ) -> (factors: Tensor<T>, permutation: [Int], isOdd: Bool) {
    let kernels = T._routines.kernels
    let n = a.shape[0]
    var factors = a
    var permutation = Array(0..<n)
    var isOdd = false
    factors.withView { a in
      for start in stride(from: 0, to: n, by: blockSize) {
        let end = min(start + blockSize, n)
        for j in start..<end {
          let pivot = (j..<n).max { abs(a[$0, j]) < abs(a[$1, j]) }!
          if pivot != j {
            // (x, y) ← (y, −x) would change a sign, so swap explicitly.
            for k in 0..<n {
              let kept = a[j, k]
              a[j, k] = a[pivot, k]
              a[pivot, k] = kept
            }
            permutation.swapAt(j, pivot)
            isOdd.toggle()
          }
          let divisor = a[j, j]
          guard divisor != 0 else { continue }
          for i in j + 1..<n {
            let factor = a[i, j] / divisor
            a[i, j] = factor
            unsafe kernels.axpy(
              end - j - 1, -factor, a.base + j * a.rowStep + j + 1,
              a.base + i * a.rowStep + j + 1)
          }
        }
        let right = a.block(start..<end, end..<n)
        right.solve(a.block(start..<end, start..<end), isLower: true, isUnit: true)
        a.block(end..<n, end..<n).add(-1, a.block(end..<n, start..<end), right)
      }
    }
    return (factors, permutation, isOdd)
  }
}
