// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How far the regions that a model assigns to classes overlap with the true ones, in each sample.
package struct ClassOverlaps: Sendable, Equatable {
  /// The pixels of one class in one sample.
  package struct Entry: Sendable, Equatable {
    /// Index of the class.
    let label: Int
    /// Pixels that are of the class and assigned to it.
    let shared: Int
    /// Pixels that are of the class or assigned to it.
    let joined: Int
  }

  /// The classes that occur in each sample, with their pixels.
  private(set) var samples: [[Entry]] = []
  private(set) var classes = 0

  package init() {}

  /// Adds a sample.
  ///
  /// - Parameters:
  ///   - classes: Number of classes, the same for all samples.
  ///   - truth: The class of each pixel; −1 for pixels that do not count.
  ///   - answers: The class assigned to each pixel; −1 for none.
  /// - Precondition: Both have the same count.
  package mutating func add(classes: Int, truth: [Int], answers: [Int]) {
    precondition(truth.count == answers.count, "an answer for each pixel")
    self.classes = max(self.classes, classes)
    var shared = [Int](repeating: 0, count: classes)
    var joined = shared
    for (label, answer) in zip(truth, answers) where label >= 0 {
      joined[label] += 1
      if answer == label {
        shared[label] += 1
      } else if answer >= 0 {
        joined[answer] += 1
      }
    }
    samples.append(
      joined.indices.filter { joined[$0] > 0 }.map {
        Entry(label: $0, shared: shared[$0], joined: joined[$0])
      })
  }

  /// The mean of intersection over union over the classes that occur, where each sample counts as
  /// often as given; NaN if no class occurs.
  ///
  /// - Precondition: There is a count for each sample, or none: then each counts once.
  func mean(counts: [Int] = []) -> Double {
    var shared = [Int](repeating: 0, count: classes)
    var joined = shared
    for (index, entries) in samples.enumerated() {
      let count = counts.isEmpty ? 1 : counts[index]
      guard count > 0 else { continue }
      for entry in entries {
        shared[entry.label] += count * entry.shared
        joined[entry.label] += count * entry.joined
      }
    }
    var (sum, occurring) = (0.0, 0.0)
    for label in joined.indices where joined[label] > 0 {
      sum += Double(shared[label]) / Double(joined[label])
      occurring += 1
    }
    return sum / occurring
  }
}
