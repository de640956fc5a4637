// SPDX-License-Identifier: Apache-2.0

import RealModule

/// Student's t distribution, and with it the standard normal one.
package enum StudentsT {
  /// The probability of a number below `t`.
  ///
  /// - Parameters:
  ///   - t: Any number, also infinite.
  ///   - degrees: Degrees of freedom, at least 1; `nil`: the standard normal distribution.
  /// - Source: Abramowitz and Stegun 26.7.1 and 26.5.27: the tails are incomplete beta functions.
  package static func probability(below t: Double, degrees: Int?) -> Double {
    guard t.isFinite else { return t > 0 ? 1 : 0 }
    guard let degrees else { return 1 - 0.5 * Double.erfc(t / 2.0.squareRoot()) }
    let freedom = Double(degrees)
    let tail = 0.5 * incompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return t > 0 ? 1 - tail : tail
  }

  /// The number below which the probability is at least ½ and as given, by bisection.
  package static func quantile(_ probability: Double, degrees: Int?) -> Double {
    var (low, high) = (0.0, 40.0)
    // One degree of freedom has tails that reach far.
    if degrees != nil {
      while self.probability(below: high, degrees: degrees) < probability, high < 1e12 {
        high *= 2
      }
    }
    for _ in 0..<60 {
      let middle = (low + high) / 2
      let reached = self.probability(below: middle, degrees: degrees)
      if reached < probability { low = middle } else { high = middle }
    }
    return low
  }

  /// The regularized incomplete beta function I_x(a, b), by its continued fraction, of which so
  /// many terms are evaluated, from the last one on, that the rest does not matter for a and b
  /// below a million.
  ///
  /// - Source: DLMF 8.17.22; 8.17.4 where the fraction converges slowly.
  private static func incompleteBeta(_ a: Double, _ b: Double, _ x: Double) -> Double {
    guard x > 0 else { return 0 }
    guard x < 1 else { return 1 }
    guard x <= (a + 1) / (a + b + 2) else { return 1 - incompleteBeta(b, a, 1 - x) }
    var denominator = 1.0
    for pair in (0..<1000).reversed() {
      let m = Double(pair)
      let even = (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2))
      denominator = 1 + even / denominator
      let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      denominator = 1 + odd / denominator
    }
    let logarithm =
      Double.logGamma(a + b) - Double.logGamma(a) - Double.logGamma(b) + a * Double.log(x)
      + b * Double.log(onePlus: -x)
    return Double.exp(logarithm) / a / denominator
  }
}
