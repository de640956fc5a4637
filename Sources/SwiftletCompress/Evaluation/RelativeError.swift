// SPDX-License-Identifier: Apache-2.0

/// Squared errors of responses as fractions of what the responses are.
package enum RelativeError {
  /// Variance below this fraction of the power is rounding: the responses are as good as constant,
  /// as those to a single sample are.
  private static let constant = 1e-9
  /// Fractions are told up to this: beyond it the responses are lost, however much.
  package static let limit = 10.0

  /// Whether responses of this variance vary by more than rounding.
  package static func varies(variance: Double, power: Double) -> Bool {
    variance > constant * power
  }

  /// The error as a fraction of the variance; of the power, where the responses do not vary; 1
  /// where there are none, but an error. Finite, and ``limit`` at most.
  ///
  /// - Parameters:
  ///   - noise: Squared error.
  ///   - variance: Squared distance of the responses from their means, summed over as many.
  ///   - power: Squared responses, summed over as many.
  package static func fraction(noise: Double, variance: Double, power: Double) -> Double {
    guard noise > 0 || noise.isNaN else { return 0 }
    let scale = varies(variance: variance, power: power) ? variance : power
    guard scale > 0 else { return 1 }
    let fraction = noise / scale
    return fraction.isNaN ? limit : min(limit, fraction)
  }
}
