import SwiftletBLAS
import SwiftletCore

/// Scaling by powers of two, which rounds nothing.
enum ScaledMatrix {
  /// Brings the largest magnitude near 1, so that squares neither overflow nor vanish.
  ///
  /// - Returns: The factor applied.
  static func normalize<T: BLASElement>(_ a: inout Tensor<T>) -> T {
    a.withView { a in
      var largest: T = 0
      for i in 0..<a.rows {
        for j in 0..<a.columns { largest = max(largest, abs(a[i, j])) }
      }
      guard largest > 0 else { return 1 }
      let limit = T.greatestFiniteMagnitude.exponent - 2
      let exponent = min(max(-largest.exponent, -limit), limit)
      let factor = T(sign: .plus, exponent: exponent, significand: 1)
      a.scale(by: factor)
      return factor
    }
  }

  /// As ``normalize(_:)``, for a matrix of which only the upper triangle counts.
  static func normalizeUpper<T: BLASElement>(_ a: inout Tensor<T>) -> T {
    a.withView { a in
      for i in 0..<a.rows { a.block(i..<i + 1, 0..<i).fill(with: 0) }
    }
    return normalize(&a)
  }
}

extension BLASElement {
  /// A power of four about as large as `value`: it and its root divide without rounding.
  static func powerOfFour(near value: Self) -> Self {
    Self(sign: .plus, exponent: value.exponent / 2 * 2, significand: 1)
  }

  /// √(a² + b²), without harm from squares that leave the range of the type.
  static func length(_ a: Self, _ b: Self) -> Self {
    let squares = a * a + b * b
    if squares.isFinite && squares > leastNormalMagnitude / ulpOfOne { return squares.squareRoot() }
    let (small, large) = (min(abs(a), abs(b)), max(abs(a), abs(b)))
    guard small > 0, large.isFinite else { return large }
    let ratio = small / large
    return large * (1 + ratio * ratio).squareRoot()
  }
}
