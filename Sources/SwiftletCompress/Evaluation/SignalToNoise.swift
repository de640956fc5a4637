// SPDX-License-Identifier: Apache-2.0

import RealModule
package import SwiftletCore

/// Signal-to-noise ratio of numbers and approximations of them, accumulated over tensors.
///
/// Numbers that are not finite have no distance. Elements whose original is NaN or infinite are
/// left out. If only the approximation is, no distance expresses how bad that is: the ratio is −∞
/// dB, below all others.
package struct SignalToNoise {
  private var signal: Double
  private var noise: Double
  /// Number of elements seen.
  private(set) var count = 0
  /// Number of elements that are not finite in the original.
  package private(set) var undefined = 0
  /// Number of elements that are finite in the original, but not in the approximation.
  package private(set) var broken = 0

  /// Reported ratios lie between −200 and 200 dB: equal numbers have no noise.
  static let limit = 200.0
  /// Noise-to-signal ratio of numbers without a ratio: sums and products of it stay finite.
  private static let worst = 1e30

  /// Starts with the given sums of squares.
  ///
  /// - Parameters:
  ///   - signal: Power of the original numbers.
  ///   - noise: Power of the differences.
  package init(signal: Double = 0, noise: Double = 0) {
    (self.signal, self.noise) = (signal, noise)
  }

  /// Whether there is anything to compare.
  var isDefined: Bool { broken > 0 || undefined < count }

  /// Signal-to-noise ratio in dB; −∞ if elements of the approximation are not finite.
  package var decibels: Double {
    broken > 0 || !isDefined && count > 0 ? -.infinity : finiteDecibels
  }

  /// Signal-to-noise ratio in dB over the elements that are finite in both.
  package var finiteDecibels: Double {
    guard count == 0 || count > undefined + broken else { return -.infinity }
    guard noise > 0 else { return Self.limit }
    let ratio = 10 * Double.log10(max(signal, 1e-300) / noise)
    return ratio.isNaN ? -.infinity : min(Self.limit, max(-Self.limit, ratio))
  }

  /// Converts a ratio in dB to a noise-to-signal ratio, finite and never smaller than that of more
  /// dB.
  package static func noiseToSignal(_ decibels: Double) -> Double {
    min(worst, Double.pow(10, -decibels / 10))
  }

  /// Counts elements that are not finite, without changing the ratio.
  ///
  /// - Precondition: Both tensors have the same shape.
  package mutating func addBroken<T: FloatElement>(_ numbers: Tensor<T>, _ others: Tensor<T>) {
    guard !numbers.isFinite || !others.isFinite else { return }
    var own = SignalToNoise()
    own.add(numbers, others)
    (undefined, broken, count) = (undefined + own.undefined, broken + own.broken, count + own.count)
  }

  /// Adds original numbers and approximations of them.
  ///
  /// - Precondition: Both tensors have the same shape.
  package mutating func add<T: FloatElement>(_ numbers: Tensor<T>, _ others: Tensor<T>) {
    precondition(numbers.shape == others.shape, "the shapes differ")
    let (x, y) = (numbers.contiguous(), others.contiguous())
    let (first, second) = (x.span, y.span)
    for i in first.indices {
      let own = Double(first[i])
      let error = own - Double(second[i])
      if error.isFinite {
        signal += own * own
        noise += error * error
      } else if own.isFinite {
        broken += 1
      } else {
        undefined += 1
      }
    }
    count += numbers.count
  }
}
