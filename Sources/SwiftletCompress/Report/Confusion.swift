// SPDX-License-Identifier: Apache-2.0

/// How the answers of two models to the same images differ per class.
public struct Confusion: Sendable, Codable, Equatable {
  /// One class.
  public struct Class: Sendable, Codable, Equatable {
    /// The name, or the number if classes have no names.
    public let name: String
    /// Number of images of the class.
    public let images: Int
    /// Number of those that the original model classifies correctly.
    public let hitsBefore: Int
    /// Number of those that the compressed model classifies correctly.
    public let hitsAfter: Int

    var change: Double { Double(hitsAfter) - Double(hitsBefore) }
  }

  /// Images of one class that are classified as another.
  public struct Pair: Sendable, Codable, Equatable {
    /// Index of the true class.
    public let label: Int
    /// Index of the predicted class.
    public let predicted: Int
    /// Number of such images with the original model.
    public let before: Int
    /// Number of such images with the compressed model.
    public let after: Int

    /// A floating-point number, as reports from files may hold any integers.
    var change: Double { Double(after) - Double(before) }
  }

  /// All classes, by index.
  public let classes: [Class]
  /// The pairs that changed, largest change first; at most `pairLimit`.
  public let pairs: [Pair]

  /// Maximum number of pairs: a thousand classes have a million.
  static let pairLimit = 100

  /// - Parameters:
  ///   - before: The class predicted for each image by the original model; −1 if its scores were
  ///     not numbers.
  ///   - names: Names of the classes; `nil`: their numbers.
  /// - Precondition: There are as many answers as labels.
  package init(labels: [Int], before: [Int], after: [Int], classCount: Int, names: [String]?) {
    precondition(labels.count == before.count && labels.count == after.count)
    var counts: [Int: (before: Int, after: Int)] = [:]
    var hits = [(images: Int, before: Int, after: Int)](repeating: (0, 0, 0), count: classCount)
    for (index, label) in labels.enumerated() {
      let (first, second) = (before[index], after[index])
      hits[label].images += 1
      if first == label { hits[label].before += 1 }
      if second == label { hits[label].after += 1 }
      // A model may have more classes than the data.
      if first != label && 0..<classCount ~= first {
        counts[label * classCount + first, default: (0, 0)].before += 1
      }
      if second != label && 0..<classCount ~= second {
        counts[label * classCount + second, default: (0, 0)].after += 1
      }
    }
    classes = hits.enumerated().map { index, hits in
      Class(
        name: names?[index] ?? "\(index)", images: hits.images, hitsBefore: hits.before,
        hitsAfter: hits.after)
    }
    pairs = Array(
      counts.filter { $0.value.before != $0.value.after }.map { key, count in
        Pair(
          label: key / classCount, predicted: key % classCount, before: count.before,
          after: count.after)
      }.sorted {
        (-abs($0.change), $0.label, $0.predicted) < (-abs($1.change), $1.label, $1.predicted)
      }.prefix(Self.pairLimit))
  }
}
