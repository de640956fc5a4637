// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension Metric {
  /// The mean cosine similarity of embeddings with the original's, −1 to 1. With several outputs,
  /// the worst of a sample counts; 0 if elements are finite only in the original's output, and for
  /// embeddings of another length.
  public static let cosine = Metric(
    MetricLabel(name: "cosine"), .original, .scorer { _ in CosineScorer() }, ignoresLabels: true)
}

private struct CosineScorer: MetricScorer {
  private var units: [Double] = []

  mutating func add(_ batch: MetricBatch) throws {
    let names = batch.floatNames
    guard !names.isEmpty else {
      throw SwiftletError(
        .unsupported, "no output holds floating-point numbers", at: "metric 'cosine'",
        fix: "use the metric agreement")
    }
    var worst = [Double](repeating: .nan, count: batch.samples.count)
    for name in names {
      let (own, original) = (try batch.rows(name), try batch.originalRows(name))
      for sample in worst.indices {
        guard own.shape == original.shape else {
          worst[sample] = worst[sample].isNaN ? 0 : min(worst[sample], 0)
          continue
        }
        guard let cosine = CosineSum.cosine(original.row(sample), own.row(sample)) else { continue }
        worst[sample] = worst[sample].isNaN ? cosine : min(worst[sample], cosine)
      }
    }
    units += worst
  }

  mutating func finish() -> MetricResult { MetricResult(units: units) }
}
