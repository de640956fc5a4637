// SPDX-License-Identifier: Apache-2.0

import RealModule

/// Tests whether a classifier is better than guessing: one that is not usually gets wrong inputs.
public struct GuessTest: Sendable, Equatable {
  /// The probability that guessing is right at least as often.
  public let pValue: Double
  private let images, classes: Int
  private let top1: Double
  private let isConstant: Bool

  /// Results less likely than this are not attributed to guessing.
  private static let level = 0.01

  /// `hits` of the images are right; `choices` are the predicted classes, and `labels` the right
  /// ones.
  ///
  /// - Precondition: The same number of choices and labels, at least one.
  /// - Complexity: O(images).
  public init(hits: Int, choices: [Int], labels: [Int], classes: Int) {
    precondition(choices.count == labels.count && !labels.isEmpty, "an answer for each image")
    (images, self.classes) = (labels.count, classes)
    top1 = Double(hits) / Double(images)
    isConstant = Set(choices).count == 1 && Set(labels).count > 1
    pValue = Self.tail(hits, of: images, 1 / Double(max(1, classes)))
  }

  /// As ``init(hits:choices:labels:classes:)``, if the individual answers are not known.
  ///
  /// - Precondition: `0 ≤ top1 ≤ 1`, at least one image.
  public init(top1: Double, images: Int, classes: Int) {
    precondition(0...1 ~= top1 && images > 0, "\(top1) of \(images) images")
    (self.top1, self.images, self.classes, isConstant) = (top1, images, classes, false)
    pValue = Self.tail(
      Int((top1 * Double(images)).rounded()), of: images, 1 / Double(max(1, classes)))
  }

  /// The probability of at least this many successes (binomial distribution).
  private static func tail(_ hits: Int, of count: Int, _ chance: Double) -> Double {
    guard hits > 0, chance < 1 else { return 1 }
    let (n, k) = (Double(count), Double(hits))
    var term = Double.exp(
      Double.logGamma(n + 1) - Double.logGamma(k + 1) - Double.logGamma(n - k + 1)
        + k * Double.log(chance) + (n - k) * Double.log(onePlus: -chance))
    var sum = 0.0
    for value in hits...count {
      sum += term
      term *= Double(count - value) / Double(value + 1) * chance / (1 - chance)
    }
    return min(1, sum)
  }

  /// What to check, for display; `nil` if the answers are better than guesses, or if there are too
  /// few images.
  public var warning: String? {
    let certain = Self.tail(images, of: images, 1 / Double(max(1, classes)))
    let guesses = pValue > Self.level && certain <= Self.level && classes > 1
    guard guesses || isConstant && images > 1 else { return nil }
    let share = (top1 * 1e4).rounded() / 1e4
    let what =
      isConstant
      ? "the model predicts the same class for all \(images) images (top-1 \(share))"
      : "top-1 \(share) on \(images) images of \(classes) classes is no better than guessing"
    return what + ": check that pixels are scaled as in its training, and that the classes "
      + "are those of the model"
  }
}
