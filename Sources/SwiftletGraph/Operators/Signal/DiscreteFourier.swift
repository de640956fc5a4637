// SPDX-License-Identifier: Apache-2.0

import RealModule

/// Transforms of complex numbers of one length: radix 2 for powers of two, otherwise as a
/// convolution with a chirp whose length is one.
///
/// - Source: Cooley & Tukey 1965; Bluestein 1970.
/// - Complexity: O(n log n).
struct DiscreteFourier {
  typealias Numbers = (real: [Double], imaginary: [Double])
  let count: Int
  private let padded: Int
  private let chirp: Numbers
  /// The transform of the chirp's conjugate, wrapped around.
  private let kernel: Numbers
  private let roots: Numbers

  /// - Precondition: `count` is positive.
  init(count: Int) {
    self.count = count
    let isPower = count & (count - 1) == 0
    var length = 1
    while length < (isPower ? count : 2 * count - 1) { length *= 2 }
    padded = length
    let roots = Self.roots(length)
    self.roots = roots
    guard !isPower else {
      (chirp, kernel) = (([], []), ([], []))
      return
    }
    // k² modulo 2n keeps angles small.
    let angles = (0..<count).map { Double($0 * $0 % (2 * count)) * .pi / Double(count) }
    chirp = (angles.map { Double.cos($0) }, angles.map { -Double.sin($0) })
    var laid: Numbers = (
      [Double](repeating: 0, count: length), [Double](repeating: 0, count: length)
    )
    for k in 0..<count {
      for place in [k, (length - k) % length] {
        (laid.real[place], laid.imaginary[place]) = (chirp.real[k], -chirp.imaginary[k])
      }
    }
    Self.transform(&laid, roots)
    kernel = laid
  }

  private static func roots(_ count: Int) -> Numbers {
    let angles = (0..<count / 2).map { -2 * Double.pi * Double($0) / Double(count) }
    return (angles.map { Double.cos($0) }, angles.map { Double.sin($0) })
  }

  /// Σ x[k]·exp(∓2πi·jk/n); the inverse is divided by n.
  func transformed(_ given: Numbers, inverse: Bool = false) -> Numbers {
    var x = given
    if inverse { x.imaginary = x.imaginary.map { -$0 } }
    if chirp.real.isEmpty {
      Self.transform(&x, roots)
    } else {
      x = convolved(x)
    }
    guard inverse else { return x }
    let scale = 1 / Double(count)
    return (x.real.map { $0 * scale }, x.imaginary.map { -$0 * scale })
  }

  private func convolved(_ x: Numbers) -> Numbers {
    var wide: Numbers = (
      [Double](repeating: 0, count: padded), [Double](repeating: 0, count: padded)
    )
    for k in 0..<count {
      (wide.real[k], wide.imaginary[k]) = Self.product(
        x.real[k], x.imaginary[k], chirp.real[k], chirp.imaginary[k])
    }
    Self.transform(&wide, roots)
    for k in 0..<padded {
      let product = Self.product(
        wide.real[k], wide.imaginary[k], kernel.real[k], kernel.imaginary[k])
      (wide.real[k], wide.imaginary[k]) = (product.0, -product.1)
    }
    Self.transform(&wide, roots)
    var result: Numbers = (
      [Double](repeating: 0, count: count), [Double](repeating: 0, count: count)
    )
    let scale = 1 / Double(padded)
    for k in 0..<count {
      (result.real[k], result.imaginary[k]) = Self.product(
        wide.real[k] * scale, -wide.imaginary[k] * scale, chirp.real[k], chirp.imaginary[k])
    }
    return result
  }

  @inline(__always)
  private static func product(_ a: Double, _ b: Double, _ c: Double, _ d: Double) -> (
    Double, Double
  ) {
    (a * c - b * d, a * d + b * c)
  }

  /// In place, for a power of two.
  private static func transform(_ x: inout Numbers, _ roots: Numbers) {
    let count = x.real.count
    var mirrored = 0
    for place in 1..<max(1, count) {
      var bit = count / 2
      while mirrored & bit != 0 {
        mirrored ^= bit
        bit /= 2
      }
      mirrored |= bit
      if place < mirrored {
        x.real.swapAt(place, mirrored)
        x.imaginary.swapAt(place, mirrored)
      }
    }
    var half = 1
    while half < count {
      let step = count / (2 * half)
      for start in stride(from: 0, to: count, by: 2 * half) {
        for k in 0..<half {
          let (a, b) = (start + k, start + k + half)
          let (real, imaginary) = product(
            x.real[b], x.imaginary[b], roots.real[k * step], roots.imaginary[k * step])
          (x.real[b], x.imaginary[b]) = (x.real[a] - real, x.imaginary[a] - imaginary)
          (x.real[a], x.imaginary[a]) = (x.real[a] + real, x.imaginary[a] + imaginary)
        }
      }
      half *= 2
    }
  }
}
