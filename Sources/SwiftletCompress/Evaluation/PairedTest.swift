// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCharts

/// A paired test of whether one classifier is worse than another on the same images.
///
/// Images that both classify correctly, or both wrongly, carry no information; only those count
/// that exactly one of them gets right.
public struct PairedTest: Sendable, Codable, Equatable {
  /// Number of images.
  public let images: Int
  /// Number of images that only the first classifier gets right.
  public let lost: Int
  /// Number of images that only the second classifier gets right.
  public let won: Int
  /// Accuracy of the first minus that of the second, in percentage points.
  public let drop: Double
  /// Upper confidence bound of the drop at level ``confidence``, one-sided: drop + 1.645 · its
  /// standard error, in percentage points, and at most 100.
  public let upperBound: Double
  /// Probability of at least this difference between two equally good classifiers: McNemar's exact
  /// test, two-sided.
  public let pValue: Double

  /// One-sided confidence level of ``upperBound``.
  public static let confidence = 0.95

  /// Compares which images two classifiers get right.
  ///
  /// - Parameters:
  ///   - first: For each image, whether the first classifier is right.
  ///   - second: The same for the second classifier.
  /// - Precondition: Both have the same count, at least 1.
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

  /// One-sided upper bound of the drop at a confidence level, in percentage points.
  ///
  /// - Precondition: `confidence` is in `0.5 ..< 1`.
  package func upperBound(confidence: Double) -> Double {
    Self.bound(lost, won, images, confidence: confidence)
  }

  private static func bound(_ lost: Int, _ won: Int, _ images: Int, confidence: Double) -> Double {
    precondition(0.5..<1 ~= confidence, "a confidence of \(confidence)")
    let (count, difference) = (Double(images), Double(lost - won))
    // Add two images, one on each side: even without any difference, uncertainty remains.
    let spread = Double(lost + won + 2) - difference * difference / count
    return min(100, 100 * (difference + quantile(confidence) * spread.squareRoot()) / count)
  }

  /// The quantile of the standard normal distribution for a probability of at least ½.
  private static func quantile(_ probability: Double) -> Double {
    var (low, high) = (0.0, 40.0)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      let reached = 1 - 0.5 * Double.erfc(middle / 2.0.squareRoot())
      if reached < probability { low = middle } else { high = middle }
    }
    return low
  }

  /// A summary: `drop 0.12 points, below 0.3 with 95 % confidence (lost 30, won 18, p = 0.11)`.
  public var summary: String { summary(confidence: Self.confidence) }

  /// A summary like ``summary`` with another confidence level.
  ///
  /// - Precondition: `confidence` is in `0.5 ..< 1`.
  package func summary(confidence: Double) -> String {
    let significance = pValue < 0.0005 ? "p < 0.001" : "p = \(rounded(pValue, 3))"
    let bound = rounded(upperBound(confidence: confidence), 3)
    let level = plain(rounded(confidence * 100, 3))
    return "drop \(rounded(drop, 3)) points, below \(bound) with \(level) % confidence "
      + "(lost \(lost), won \(won), \(significance))"
  }

  /// Twice the probability of at most `least` heads in `count` tosses of a coin, at most 1.
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
