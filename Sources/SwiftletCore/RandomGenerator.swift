// SPDX-License-Identifier: Apache-2.0

import RealModule

/// A seeded, reproducible source of random numbers (SplitMix64, Steele et al. 2014).
///
/// The same seed gives the same numbers on every machine. The state is a single public word, so
/// checkpoints can store it. Not for cryptography.
public struct RandomGenerator: RandomNumberGenerator, Sendable, Hashable {
  /// All that the next number depends on: `RandomGenerator(seed: state)` goes on from here.
  public private(set) var state: UInt64

  /// A generator whose numbers follow from the seed alone.
  public init(seed: UInt64) { state = seed }

  /// An independent generator for one purpose, identified by numbers such as epoch and step:
  /// results do not depend on how many numbers were drawn before.
  public init(seed: UInt64, stream: UInt64...) {
    state = seed
    for word in stream { state = next() ^ (word &* 0xD1B5_4A32_D192_ED03) }
  }

  /// The next 64 bits, uniformly distributed.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in 0 ..< 1, with 53 random bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in 0 ..< bound.
  ///
  /// - Precondition: `bound > 0`.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0, "no number lies in 0 ..< \(bound)")
    return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// Standard normal (Box–Muller).
  public mutating func normal() -> Double {
    let radius = (-2 * Double.log(1 - uniform())).squareRoot()
    return radius * Double.cos(2 * .pi * uniform())
  }

  /// The numbers `0 ..< count` in random order (Fisher–Yates).
  public mutating func permutation(of count: Int) -> [Int] {
    var order = Array(0..<count)
    for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, below(i + 1)) }
    return order
  }
}

extension Tensor where Element: FloatElement {
  /// Independent uniform elements in `range`.
  public init(
    _ shape: Shape, uniformIn range: ClosedRange<Double>, using generator: inout RandomGenerator
  ) {
    self.init(uninitialized: shape)
    let width = range.upperBound - range.lowerBound
    var span = mutableSpan
    for i in span.indices { span[i] = Element(range.lowerBound + width * generator.uniform()) }
  }

  /// Independent standard normal elements.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  public init(_ shape: Shape, normalUsing generator: inout RandomGenerator) {
    self.init(uninitialized: shape)
    var span = mutableSpan
    for i in span.indices { span[i] = Element(generator.normal()) }
  }
}
