// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts
import SwiftletCore

extension Metric {
  /// The mean intersection over union of classes, 0 to 1, for an output of scores N×K×H×W whose
  /// largest score names the class of a pixel. The true classes are the targets, integers N×H×W, of
  /// which 255 marks pixels that do not count; without targets, the original's classes. Pixels are
  /// summed over all samples; classes that occur neither in the targets nor in the answers are left
  /// out.
  public static let miou = Metric(
    MetricLabel(name: "miou", isFraction: true), .targetsOrOriginal,
    .scorer { _ in OverlapScorer() }, ignoresLabels: true)
}

private struct OverlapScorer: MetricScorer {
  private static let name = "miou"
  /// The class of pixels that do not count.
  private static let ignored = 255.0
  private var overlaps = ClassOverlaps()

  mutating func add(_ batch: MetricBatch) throws {
    let name = try batch.onlyOutput(
      for: Self.name, "a score for each class and pixel, N×K×H×W with K of at least 2"
    ) { $0.dtype.isFloat && $0.shape.rank == 4 && $0.shape[1] > 1 }
    let scores = try batch.rows(name)
    let count = batch.samples.count
    guard scores.shape.rank == 3 else {
      throw SwiftletError(
        .unsupported, "output '\(name)' does not have one row for each of \(count) samples",
        at: "metric '\(Self.name)'")
    }
    let (classes, pixels) = (scores.shape[0], scores.shape.count(of: 1..<3))
    if let target = batch.target(of: name) {
      try check(target, for: scores.shape, samples: count)
      let masks = try SampleRows(target, named: name, samples: count)
      for sample in 0..<count {
        let truth = try Self.labels(masks.row(sample), classes)
        overlaps.add(
          classes: classes, truth: truth,
          answers: Self.choices(scores.row(sample), classes, pixels))
      }
      return
    }
    guard batch.targets.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no targets for output '\(name)'", at: "metric '\(Self.name)'",
        fix: "name the array of masks '\(name)'")
    }
    let original = try batch.originalRows(name)
    guard original.shape.rank == 3 else {
      throw SwiftletError(
        .badInput, "the original's output '\(name)' holds no scores of pixels",
        at: "metric '\(Self.name)'", fix: "compare models with the same outputs")
    }
    for sample in 0..<count {
      let truth = Self.choices(
        original.row(sample), original.shape[0], original.shape.count(of: 1..<3))
      let isComparable = original.shape == scores.shape
      overlaps.add(
        classes: max(classes, original.shape[0]), truth: truth,
        answers: isComparable
          ? Self.choices(scores.row(sample), classes, pixels)
          : [Int](repeating: -1, count: truth.count))
    }
  }

  /// - Throws: `badInput` if the masks are not integers N×H×W.
  private func check(_ target: AnyTensor, for scores: Shape, samples: Int) throws {
    let wanted = Shape([samples, scores[1], scores[2]])
    let fits = target.shape == wanted || target.shape == Shape([samples, 1, scores[1], scores[2]])
    guard fits, !target.dtype.isFloat else {
      throw SwiftletError(
        .badInput, "the masks are \(target.dtype) \(target.shape), not integers \(wanted)",
        at: "metric '\(Self.name)'",
        fix: "give the class of each pixel of the model's output, 255 where it does not matter")
    }
  }

  /// The classes of a mask; −1 for pixels that do not count.
  private static func labels(_ mask: borrowing Span<Double>, _ classes: Int) throws -> [Int] {
    var labels = [Int](repeating: -1, count: mask.count)
    for i in mask.indices where mask[i] != ignored {
      guard 0..<Double(classes) ~= mask[i] else {
        throw SwiftletError(
          .badInput, "a mask has class \(plain(mask[i])), but the model only \(classes) classes",
          at: "metric '\(name)'", fix: "mark pixels that do not count with 255")
      }
      labels[i] = Int(mask[i])
    }
    return labels
  }

  /// The class of the largest score of each pixel; −1 if it has no numbers.
  private static func choices(
    _ scores: borrowing Span<Double>, _ classes: Int, _ pixels: Int
  ) -> [Int] {
    var best = [Double](repeating: .nan, count: pixels)
    var choices = [Int](repeating: -1, count: pixels)
    for label in 0..<classes {
      let plane = scores.extracting(label * pixels..<(label + 1) * pixels)
      for i in plane.indices where choices[i] < 0 ? !plane[i].isNaN : plane[i] > best[i] {
        (best[i], choices[i]) = (plane[i], label)
      }
    }
    return choices
  }

  mutating func finish() throws -> MetricResult {
    MetricResult(score: overlaps.mean(), .overlaps(overlaps))
  }
}
