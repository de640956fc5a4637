// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Scaling by powers of two, which is exact.
enum ScaledMatrix {
  /// Scales the largest magnitude close to 1, or to another power of two, so that squares neither
  /// overflow nor underflow.
  ///
  /// - Returns: The factor applied.
  static func normalize<T: BLASElement>(_ a: inout Tensor<T>, to target: T.Exponent = 0) -> T {
    a.withView { a in
      let largest = a.largestMagnitude
      guard largest > 0 else { return 1 }
      let limit = T.greatestFiniteMagnitude.exponent - 2
      let exponent = min(max(target - largest.exponent, -limit), limit)
      let factor = T(sign: .plus, exponent: exponent, significand: 1)
      a.scale(by: factor)
      return factor
    }
  }

  /// As ``normalize(_:)``, for a matrix of which only the upper triangle is used.
  static func normalizeUpper<T: BLASElement>(_ a: inout Tensor<T>) -> T {
    a.withView { a in
      for i in 0..<a.rows { a.block(i..<i + 1, 0..<i).fill(with: 0) }
    }
    return normalize(&a)
  }
}

extension BLASElement {
  /// The magnitude below which elements of a bidiagonal or tridiagonal matrix are within its
  /// rounding error: an eighth of the last bit of the largest.
  ///
  /// An absolute bound ends an iteration where all neighbours are tiny: relative bounds never hold
  /// among subnormal numbers, which have no last bits to converge to.
  static func negligible(_ diagonal: [Self], _ beside: [Self]) -> Self {
    let largest = (diagonal + beside).reduce(0) { max($0, abs($1)) }
    return max(ulpOfOne / 8 * largest, leastNormalMagnitude)
  }

  /// A power of four close to `value`: it and its square root divide exactly.
  static func powerOfFour(near value: Self) -> Self {
    Self(sign: .plus, exponent: value.exponent / 2 * 2, significand: 1)
  }

  /// √(a² + b²), safe from squares that overflow or underflow.
  static func length(_ a: Self, _ b: Self) -> Self {
    let squares = a * a + b * b
    if squares.isFinite && squares > leastNormalMagnitude / ulpOfOne { return squares.squareRoot() }
    let (small, large) = (min(abs(a), abs(b)), max(abs(a), abs(b)))
    guard small > 0, large.isFinite else { return large }
    let ratio = small / large
    return large * (1 + ratio * ratio).squareRoot()
  }
}
