// SPDX-License-Identifier: Apache-2.0

import RealModule
package import SwiftletCore

/// How far numbers are from others: powers that add up over tensors.
///
/// Numbers that are not finite have no distance. Where the first ones are NaN or infinite
/// themselves, nothing is compared and the rest counts; where only the others are, no distance says
/// how bad that is: the ratio is −∞ dB, below all others.
package struct SignalToNoise {
  private var signal: Double
  private var noise: Double
  /// Elements seen.
  private(set) var count = 0
  /// Elements that are not finite in the first numbers.
  package private(set) var undefined = 0
  /// Elements that are finite in the first numbers, and not in the others.
  package private(set) var broken = 0

  /// Ratios are told up to this, in dB, and down to its negative: equal numbers have no noise.
  static let limit = 200.0
  /// ``noiseToSignal`` of numbers that have no ratio; sums and products of it stay finite.
  private static let worst = 1e30

  package init(signal: Double = 0, noise: Double = 0) {
    (self.signal, self.noise) = (signal, noise)
  }

  /// Whether there is anything to compare.
  var isDefined: Bool { broken > 0 || undefined < count }

  /// Signal to noise, in dB; −∞ where some of the others are not finite.
  package var decibels: Double {
    broken > 0 || !isDefined && count > 0 ? -.infinity : finiteDecibels
  }

  /// Of the elements that are finite in both.
  package var finiteDecibels: Double {
    guard count == 0 || count > undefined + broken else { return -.infinity }
    guard noise > 0 else { return Self.limit }
    let ratio = 10 * Double.log10(max(signal, 1e-300) / noise)
    return ratio.isNaN ? -.infinity : min(Self.limit, max(-Self.limit, ratio))
  }

  /// A ratio in dB as noise over signal, never better than another with fewer dB, and finite.
  package static func noiseToSignal(_ decibels: Double) -> Double {
    min(worst, Double.pow(10, -decibels / 10))
  }

  /// Counts what is not finite, and leaves the distance as it is.
  ///
  /// - Precondition: Of the same shape.
  package mutating func addBroken<T: FloatElement>(_ numbers: Tensor<T>, _ others: Tensor<T>) {
    guard !numbers.isFinite || !others.isFinite else { return }
    var own = SignalToNoise()
    own.add(numbers, others)
    (undefined, broken, count) = (undefined + own.undefined, broken + own.broken, count + own.count)
  }

  /// - Precondition: Of the same shape.
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
