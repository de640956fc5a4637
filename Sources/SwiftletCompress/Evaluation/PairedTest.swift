// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCharts
import SwiftletCore

/// A paired test of whether one model is worse than another on the same samples.
///
/// Of answers that are right or wrong, those that both models get right, or both wrong, carry no
/// information: only those count that exactly one of them gets right. Scores of other kinds are
/// compared sample by sample.
public struct PairedTest: Sendable, Codable, Equatable {
  /// Number of samples.
  public let images: Int
  /// Number of samples for which only the first model is right, or for which it has the better
  /// score.
  public let lost: Int
  /// The same for the second model.
  public let won: Int
  /// How much worse the second model is: in percentage points for accuracy and other fractions,
  /// else in the unit of the score.
  public let drop: Double
  /// Upper confidence bound of the drop at level ``confidence``, one-sided. For right and wrong
  /// answers: drop + 1.645 · its standard error, in percentage points, and at most 100. Infinite if
  /// nothing is known of how scores vary with the samples.
  public let upperBound: Double
  /// Probability of at least this difference between two equally good models, two-sided: McNemar's
  /// exact test for right and wrong answers, else a t test.
  public let pValue: Double
  /// The metric; `nil` for top-1 accuracy.
  public let metric: MetricLabel?
  /// Standard error of the drop; `nil` for right and wrong answers, see ``upperBound``.
  public let standardError: Double?
  /// Degrees of freedom of ``standardError``; `nil`: it is as good as known.
  public let degrees: Int?

  /// One-sided confidence level of ``upperBound``.
  public static let confidence = 0.95

  /// Compares which images two classifiers get right.
  ///
  /// - Parameters:
  ///   - first: For each image, whether the first classifier is right.
  ///   - second: The same for the second classifier.
  ///   - choices: The class that the first classifier names for each image. Images without one (−1)
  ///     are left out, unless there are no others: they would only count for the second classifier.
  ///   - metric: What being right means; `nil`: top-1 accuracy.
  /// - Precondition: Both have the same count, at least 1.
  /// - Source: McNemar 1947; for the standard error of a difference of paired proportions, Agresti,
  ///   "Categorical Data Analysis", section 11.1.
  package init(
    _ first: [Bool], _ second: [Bool], choices: [Int] = [], metric: MetricLabel? = nil
  ) {
    precondition(first.count == second.count && !first.isEmpty, "the images must be the same")
    let isNamed = choices.map { $0 >= 0 }
    let leavesOut = isNamed.contains(true)
    let counted = first.indices.filter { !leavesOut || isNamed[$0] }
    images = counted.count
    lost = counted.count { first[$0] && !second[$0] }
    won = counted.count { !first[$0] && second[$0] }
    let (count, difference) = (Double(images), Double(lost - won))
    let scale = Self.scale(of: metric)
    drop = scale * difference / count
    upperBound = Self.bound(lost, won, images, scale: scale, confidence: Self.confidence)
    pValue = Self.binomial(min(lost, won), of: lost + won)
    self.metric = metric
    (standardError, degrees) = (nil, nil)
  }

  /// Compares two models by the judgements of the same judge.
  ///
  /// - Scores that are all 0 or 1 are right and wrong answers.
  /// - Other scores by sample: the t test of paired differences (Student 1908). Scores by batch
  ///   likewise, weighted by samples (the standard error of a ratio, Cochran, "Sampling
  ///   Techniques", section 6.4).
  /// - Mean intersection over union: the standard deviation over 1000 bootstrap resamples of the
  ///   samples (Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 6).
  /// - Scores of a command: the deviations in random halves of the samples (Shao and Wu 1989, "A
  ///   general theory for jackknife variance estimation": the jackknife that deletes half).
  package init(_ first: Judgement, _ second: Judgement) {
    let label = first.metric
    let metric = label == Metric.top1.label ? nil : label
    let samples = first.samples
    if case .units(let a, let weights) = first.evidence, case .units(let b, _) = second.evidence,
      weights.isEmpty, a.count == b.count, !a.isEmpty,
      // Real-valued scores may all happen to be 0, or 1.
      case let found = Set(a + b), found.isSubset(of: [0, 1]), label.isFraction || found.count == 2
    {
      let good = label.higherIsBetter ? 1.0 : 0.0
      self.init(
        a.map { $0 == good }, b.map { $0 == good }, choices: first.choices, metric: metric)
      return
    }
    self.init(
      label, samples: samples, drop: (first.score - second.score) * label.dropScale,
      PairedSpread(first, second))
  }

  private init(_ label: MetricLabel, samples: Int, drop: Double, _ spread: PairedSpread) {
    images = samples
    (lost, won) = (spread.lost, spread.won)
    // Scores that are not numbers are no better than the worst.
    self.drop = drop.isNaN ? .infinity : drop
    metric = label
    let error = spread.error.map { $0 * abs(label.dropScale) } ?? .infinity
    standardError = self.drop.isFinite && error.isFinite ? error : .infinity
    degrees = spread.degrees
    upperBound = Self.bound(self.drop, standardError!, degrees, confidence: Self.confidence)
    guard self.drop.isFinite else {
      pValue = 0
      return
    }
    let ratio = error > 0 ? abs(drop) / error : drop == 0 ? 0 : .infinity
    pValue = min(1, 2 * (1 - StudentsT.probability(below: ratio, degrees: degrees)))
  }

  /// One-sided upper bound of the drop at a confidence level, in the unit of ``drop``; infinite if
  /// nothing is known of how scores vary with the samples.
  ///
  /// - Precondition: `confidence` is in `0.5 ..< 1`.
  package func upperBound(confidence: Double) -> Double {
    guard let standardError else {
      return Self.bound(
        lost, won, images, scale: Self.scale(of: metric), confidence: confidence)
    }
    return Self.bound(drop, standardError, degrees, confidence: confidence)
  }

  private static func scale(of metric: MetricLabel?) -> Double {
    abs((metric ?? Metric.top1.label).dropScale)
  }

  private static func bound(
    _ lost: Int, _ won: Int, _ images: Int, scale: Double, confidence: Double
  ) -> Double {
    precondition(0.5..<1 ~= confidence, "a confidence of \(confidence)")
    let (count, difference) = (Double(images), Double(lost - won))
    // Add two images, one on each side: even without any difference, uncertainty remains.
    let spread = Double(lost + won + 2) - difference * difference / count
    let quantile = StudentsT.quantile(confidence, degrees: nil)
    return min(scale, scale * (difference + quantile * spread.squareRoot()) / count)
  }

  private static func bound(
    _ drop: Double, _ error: Double, _ degrees: Int?, confidence: Double
  ) -> Double {
    precondition(0.5..<1 ~= confidence, "a confidence of \(confidence)")
    guard drop.isFinite, error.isFinite else { return .infinity }
    return drop + StudentsT.quantile(confidence, degrees: degrees) * error
  }

  /// What is counted: images of classifiers, else samples.
  var unit: String { metric == nil ? "images" : "samples" }

  /// A summary: `drop 0.12 points, below 0.3 with 95 % confidence (lost 30, won 18, p = 0.11)`.
  public var summary: String { summary(confidence: Self.confidence) }

  /// A summary like ``summary`` with another confidence level.
  ///
  /// - Precondition: `confidence` is in `0.5 ..< 1`.
  package func summary(confidence: Double) -> String {
    let label = metric ?? Metric.top1.label
    let change = "\(label.loss) \(label.text(ofDrop: drop))\(label.unit)"
    guard standardError?.isFinite ?? true else { return change }
    let significance = pValue < 0.0005 ? "p < 0.001" : "p = \(rounded(pValue, 3))"
    let bound = label.text(ofDrop: upperBound(confidence: confidence))
    let level = plain(rounded(confidence * 100, 3))
    // Of right and wrong answers, and of samples whose scores differ.
    let samples = lost + won > 0 || standardError == nil ? "lost \(lost), won \(won), " : ""
    return "\(change), below \(bound) with \(level) % confidence (\(samples)\(significance))"
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

extension MetricLabel {
  /// A drop as text: percentage points with three decimals, else four significant digits.
  package func text(ofDrop drop: Double) -> String {
    isFraction ? "\(rounded(drop, 3))" : Self.significant(drop)
  }

  /// A score as text: fractions with four decimals, else five significant digits.
  package func text(ofScore score: Double) -> String {
    isFraction ? fixed(score, 4) : Self.significant(score, digits: 5)
  }

  private static func significant(_ value: Double, digits: Int = 4) -> String {
    guard value.isFinite, value != 0 else { return "\(value == 0 ? 0 : value)" }
    let exponent = Int(Double.log10(abs(value)).rounded(.down))
    guard -5...14 ~= exponent else {
      let scale = Double.pow(10, digits - 1 - exponent)
      return "\((value * scale).rounded() / scale)"
    }
    return trimmed(value, max(0, digits - 1 - exponent))
  }
}
