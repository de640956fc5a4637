// SPDX-License-Identifier: Apache-2.0

/// Squared errors relative to the variance or power of the responses.
package enum RelativeError {
  /// A variance below this fraction of the power is rounding: the responses are practically
  /// constant, as those to a single sample are.
  private static let constant = 1e-9
  /// Largest reported fraction: beyond it the responses are lost anyway.
  package static let limit = 10.0

  /// Whether responses vary by more than rounding.
  package static func varies(variance: Double, power: Double) -> Bool {
    variance > constant * power
  }

  /// The error as a fraction of the variance, or of the power if the responses do not vary; 1 if
  /// the responses are all zero but the error is not. Finite, and at most ``limit``.
  ///
  /// - Parameters:
  ///   - noise: Squared error, summed over the responses.
  ///   - variance: Squared distance of the responses from their means, summed likewise.
  ///   - power: Squared responses, summed likewise.
  package static func fraction(noise: Double, variance: Double, power: Double) -> Double {
    guard noise > 0 || noise.isNaN else { return 0 }
    let scale = varies(variance: variance, power: power) ? variance : power
    guard scale > 0 else { return 1 }
    let fraction = noise / scale
    return fraction.isNaN ? limit : min(limit, fraction)
  }
}
