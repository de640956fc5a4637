// SPDX-License-Identifier: Apache-2.0

import RealModule

/// Whether one classifier is worse than another on the same images.
///
/// Images that both get right, or both get wrong, say nothing; what counts are those that only one
/// gets right.
public struct PairedTest: Sendable, Codable, Equatable {
  public let images: Int
  /// Images that only the first, or only the second, gets right.
  public let lost: Int
  public let won: Int
  /// Points of accuracy that the second lacks, in percent.
  public let drop: Double
  /// The drop is below this with ``confidence``: drop + 1.645 · its standard error, in percent, and
  /// 100 at most, which no drop exceeds.
  public let upperBound: Double
  /// How likely it is that two equally good classifiers differ as much: McNemar's exact test, two
  /// sides.
  public let pValue: Double

  /// Of ``upperBound``, one side.
  public static let confidence = 0.95

  /// - Precondition: Equally many, at least one.
  ///
  /// - Source: McNemar 1947; for the standard error of a difference of paired proportions, Agresti,
  ///   "Categorical Data Analysis", section 11.1.
  package init(_ first: [Bool], _ second: [Bool]) {
    precondition(first.count == second.count && !first.isEmpty, "the images must be the same")
    images = first.count
    lost = zip(first, second).count { $0 && !$1 }
    won = zip(first, second).count { !$0 && $1 }
    let (count, difference) = (Double(images), Double(lost - won))
    drop = 100 * difference / count
    upperBound = Self.bound(lost, won, images, confidence: Self.confidence)
    pValue = Self.binomial(min(lost, won), of: lost + won)
  }

  /// The drop is below this with so much confidence, in percent.
  ///
  /// - Precondition: `0.5 ..< 1`.
  package func upperBound(confidence: Double) -> Double {
    Self.bound(lost, won, images, confidence: confidence)
  }

  private static func bound(_ lost: Int, _ won: Int, _ images: Int, confidence: Double) -> Double {
    precondition(0.5..<1 ~= confidence, "a confidence of \(confidence)")
    let (count, difference) = (Double(images), Double(lost - won))
    // Two more images, one on each side: without any difference there still is doubt.
    let spread = Double(lost + won + 2) - difference * difference / count
    return min(100, 100 * (difference + quantile(confidence) * spread.squareRoot()) / count)
  }

  /// Where the normal distribution reaches a probability of a half or more.
  private static func quantile(_ probability: Double) -> Double {
    var (low, high) = (0.0, 40.0)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      let reached = 1 - 0.5 * Double.erfc(middle / 2.0.squareRoot())
      if reached < probability { low = middle } else { high = middle }
    }
    return low
  }

  /// `drop 0.12 points, below 0.3 with 95 % confidence (lost 30, won 18, p = 0.11)`.
  public var summary: String { summary(confidence: Self.confidence) }

  /// As ``summary``, with a bound of so much confidence.
  ///
  /// - Precondition: `0.5 ..< 1`.
  package func summary(confidence: Double) -> String {
    func short(_ value: Double) -> Double { (value * 1e3).rounded() / 1e3 }
    let significance = pValue < 0.0005 ? "p < 0.001" : "p = \(short(pValue))"
    return "drop \(short(drop)) points, below \(short(upperBound(confidence: confidence))) with "
      + "\(plain(short(confidence * 100))) % confidence (lost \(lost), won \(won), \(significance))"
  }

  /// Twice the probability of at most `least` heads in `count` throws of a coin, 1 at most.
  private static func binomial(_ least: Int, of count: Int) -> Double {
    var sum = 0.0
    for heads in 0...least {
      let logarithm =
        Double.logGamma(Double(count) + 1) - Double.logGamma(Double(heads) + 1)
        - Double.logGamma(Double(count - heads) + 1) - Double(count) * Double.log(2)
      sum += Double.exp(logarithm)
    }
    return min(1, 2 * sum)
  }
}
