// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension Metric {
  /// How often a model answers as the original does. For each sample and output: whether the top-1
  /// class is the same, if the output holds scores (samples × classes); the cosine similarity of
  /// other floating-point outputs, at least 0; the fraction of equal elements of integers and
  /// booleans. The worst output of a sample counts.
  ///
  /// A sample with elements that are not finite in the original's output is left out there; one
  /// with such elements only in the model's own output scores 0, as do outputs of other shapes than
  /// the original's.
  public static let agreement = Metric(
    MetricLabel(name: "agreement", isFraction: true), .original,
    .scorer { _ in AgreementScorer() }, ignoresLabels: true)
}

private struct AgreementScorer: MetricScorer {
  private var units: [Double] = []

  mutating func add(_ batch: MetricBatch) throws {
    var worst = [Double](repeating: .nan, count: batch.samples.count)
    for name in batch.outputNames {
      let reshaped = batch.original[name].map {
        $0.shape != batch.outputs[name]?.shape || $0.dtype != batch.outputs[name]?.dtype
      }
      if reshaped == true {
        worst = worst.map { _ in 0 }
        continue
      }
      let (own, original) = (try batch.rows(name), try batch.originalRows(name))
      for sample in worst.indices {
        let (a, b) = (original.row(sample), own.row(sample))
        guard let score = Self.score(a, b, original) else { continue }
        worst[sample] = worst[sample].isNaN ? score : min(worst[sample], score)
      }
    }
    units += worst
  }

  private static func score(
    _ original: Span<Double>, _ own: Span<Double>, _ rows: borrowing SampleRows
  ) -> Double? {
    guard rows.isFloat else {
      var equal = 0
      for i in original.indices where original[i] == own[i] { equal += 1 }
      return original.isEmpty ? 1 : Double(equal) / Double(original.count)
    }
    if rows.shape.rank == 1, rows.width > 1 {
      guard original.isFinite else { return nil }
      return own.isFinite && own.firstLargest == original.firstLargest ? 1 : 0
    }
    return CosineSum.cosine(original, own).map { max(0, $0) }
  }

  mutating func finish() -> MetricResult { MetricResult(units: units) }
}
