// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Products of elementary reflectors H = I − τ·v·vᵀ with v₀ = 1, one by one and blocked.
///
/// - Source: LAPACK `?larfg`; Schreiber & Van Loan, "A storage-efficient WY representation" (1989).
enum Householder {
  /// Reflectors per block.
  static let blockSize = 32

  /// The reflector that maps x to (β, 0, …): x becomes v.
  ///
  /// - Returns: τ and β; τ is 0 if x is (β, 0, …) already.
  static func makeReflector<T: BLASElement>(
    _ x: UnsafeMutablePointer<T>, count: Int
  ) -> (tau: T, beta: T) {
    guard count > 0 else { return (0, 0) }
    let first = unsafe x[0]
    unsafe x[0] = 1
    let tail = unsafe norm(x + 1, count: count - 1)
    guard tail > 0 else { return (0, first) }
    let length = T.length(first, tail)
    guard length >= T.leastNormalMagnitude / T.ulpOfOne else {
      // Quotients of subnormal numbers would not give a reflection.
      unsafe x[0] = first
      for i in 0..<count { unsafe x[i] /= T.leastNormalMagnitude }
      let (tau, beta) = unsafe makeReflector(x, count: count)
      return (tau, beta * T.leastNormalMagnitude)
    }
    let beta = first > 0 ? -length : length
    let pivot = first - beta
    // 1 / pivot would overflow for the smallest numbers.
    for i in 1..<count { unsafe x[i] /= pivot }
    return ((beta - first) / beta, beta)
  }

  /// ‖x‖, safe from squares that overflow or underflow.
  static func norm<T: BLASElement>(_ x: UnsafePointer<T>, count: Int) -> T {
    let squares = unsafe T._routines.kernels.dot(count, x, x)
    let least = T.leastNormalMagnitude / (T.ulpOfOne * T.ulpOfOne)
    if squares.isFinite && squares > least { return squares.squareRoot() }
    var largest: T = 0
    for i in 0..<count { unsafe largest = max(largest, abs(x[i])) }
    guard largest > 0, largest.isFinite else { return largest }
    var sum: T = 0
    for i in 0..<count {
      let ratio = unsafe x[i] / largest
      sum += ratio * ratio
    }
    return largest * sum.squareRoot()
  }

  /// The triangle T of the product H₀·H₁·… = I − Vᵀ·T·V of reflectors that are the rows of V.
  static func triangle<T: BLASElement>(_ v: MatrixView<T>, tau: [T]) -> Tensor<T> {
    let count = v.rows
    var gram = Tensor<T>(zeros: [count, count])
    var triangle = Tensor<T>(zeros: [count, count])
    gram.withView { gram in
      gram.add(1, v, v.transposed)
      triangle.withView { t in
        for i in 0..<count {
          t[i, i] = tau[i]
          for row in 0..<i {
            var sum: T = 0
            for k in row..<i { sum += t[row, k] * gram[k, i] }
            t[row, i] = -tau[i] * sum
          }
        }
      }
    }
    return triangle
  }

  /// c ← H₀·H₁·…·c, or c ← …·H₁·H₀·c if `transposed`, for reflectors that are the rows of V.
  static func apply<T: BLASElement>(
    _ v: MatrixView<T>, _ triangle: inout Tensor<T>, transposed: Bool = false,
    to c: MatrixView<T>
  ) {
    guard v.rows > 0, c.columns > 0 else { return }
    var projection = Tensor<T>(zeros: [v.rows, c.columns])
    var weighted = Tensor<T>(zeros: [v.rows, c.columns])
    projection.withView { projection in
      projection.add(1, v, c)
      triangle.withView { t in
        weighted.withView { weighted in
          weighted.add(1, transposed ? t.transposed : t, projection)
          c.add(-1, v.transposed, weighted)
        }
      }
    }
  }

  /// c ← H₀·H₁·…·c for reflectors stored in a factored matrix: reflector i in row i of `stored`,
  /// its leading 1 at column i + `offset` and its elements to the right of that.
  static func apply<T: BLASElement>(
    rowsOf stored: MatrixView<T>, tau: [T], offset: Int, to c: MatrixView<T>
  ) {
    let length = stored.columns
    for start in stride(from: 0, to: tau.count, by: blockSize).reversed() {
      let end = min(start + blockSize, tau.count)
      let left = start + offset
      guard left < length else { continue }
      var block = Tensor<T>(zeros: [end - start, length - left])
      block.withView { block in
        for i in start..<end {
          let one = i + offset
          guard one < length else { continue }
          block[i - start, one - left] = 1
          block.block(i - start..<i - start + 1, one - left + 1..<length - left)
            .copy(stored.block(i..<i + 1, one + 1..<length))
        }
        var triangle = triangle(block, tau: Array(tau[start..<end]))
        apply(block, &triangle, to: c.rowBlock(left..<length))
      }
    }
  }
}
