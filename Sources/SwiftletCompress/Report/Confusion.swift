// SPDX-License-Identifier: Apache-2.0

/// How two models' answers to the same images differ, class by class.
public struct Confusion: Sendable, Codable, Equatable {
  public struct Class: Sendable, Codable, Equatable {
    public let name: String
    public let images: Int
    /// Images of the class that the model recognises.
    public let hitsBefore: Int
    public let hitsAfter: Int

    var change: Double { Double(hitsAfter) - Double(hitsBefore) }
  }

  /// Images of one class that are taken for another.
  public struct Pair: Sendable, Codable, Equatable {
    public let label: Int
    public let predicted: Int
    public let before: Int
    public let after: Int

    /// Of reports from files, which may hold any numbers.
    var change: Double { Double(after) - Double(before) }
  }

  public let classes: [Class]
  /// The pairs that changed, those that changed most first; not more than `pairLimit`.
  public let pairs: [Pair]

  /// A thousand classes have a million pairs.
  static let pairLimit = 100

  /// - Parameters:
  ///   - before: The class that each image is taken for; -1 where the model gave no number.
  ///   - names: What the classes are called; their numbers, if missing.
  /// - Precondition: As many answers as labels.
  package init(labels: [Int], before: [Int], after: [Int], classCount: Int, names: [String]?) {
    precondition(labels.count == before.count && labels.count == after.count)
    var counts: [Int: (before: Int, after: Int)] = [:]
    var hits = [(images: Int, before: Int, after: Int)](repeating: (0, 0, 0), count: classCount)
    for (index, label) in labels.enumerated() {
      let (first, second) = (before[index], after[index])
      hits[label].images += 1
      if first == label { hits[label].before += 1 }
      if second == label { hits[label].after += 1 }
      // A model may know more classes than the data have.
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
