import RealModule

/// Whether a classifier does better than who guesses: most that does not is fed wrongly.
public struct GuessTest: Sendable, Equatable {
  /// How likely who guesses is right as often or more often.
  public let pValue: Double
  private let images, classes: Int
  private let top1: Double
  private let isConstant: Bool

  /// Less likely than this is no guessing.
  private static let level = 0.01

  /// `hits` of the images are right; `choices` are the classes that were answered, and `labels` the right ones.
  ///
  /// - Precondition: As many choices as labels, at least one.
  /// - Complexity: O(images).
  public init(hits: Int, choices: [Int], labels: [Int], classes: Int) {
    precondition(choices.count == labels.count && !labels.isEmpty, "an answer for each image")
    (images, self.classes) = (labels.count, classes)
    top1 = Double(hits) / Double(images)
    isConstant = Set(choices).count == 1 && Set(labels).count > 1
    pValue = Self.tail(hits, of: images, 1 / Double(max(1, classes)))
  }

  /// As ``init(hits:choices:labels:classes:)``, where the answers are not known one by one.
  ///
  /// - Precondition: `0 ≤ top1 ≤ 1`, at least one image.
  public init(top1: Double, images: Int, classes: Int) {
    precondition(0...1 ~= top1 && images > 0, "\(top1) of \(images) images")
    (self.top1, self.images, self.classes, isConstant) = (top1, images, classes, false)
    pValue = Self.tail(
      Int((top1 * Double(images)).rounded()), of: images, 1 / Double(max(1, classes)))
  }

  /// The probability of so many successes or more (binomial distribution).
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

  /// What to look into, for a person; `nil` where the answers are better than guesses, or there are too few images
  /// to tell.
  public var warning: String? {
    let certain = Self.tail(images, of: images, 1 / Double(max(1, classes)))
    let guesses = pValue > Self.level && certain <= Self.level && classes > 1
    guard guesses || isConstant && images > 1 else { return nil }
    let share = (top1 * 1e4).rounded() / 1e4
    let what =
      isConstant
      ? "the model answers the same class for all \(images) images (top-1 \(share))"
      : "top-1 \(share) on \(images) images of \(classes) classes is no better than guessing"
    return what + ": check that pixels are scaled as those that it was trained on, and that "
      + "these are its classes"
  }
}
