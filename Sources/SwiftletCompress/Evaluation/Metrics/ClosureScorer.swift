// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Scores by a closure of the caller's.
struct ClosureScorer: MetricScorer {
  let label: MetricLabel
  let score: @Sendable (MetricBatch) throws -> [Double]
  private var units: [Double] = []
  private var sizes: [Double] = []
  /// Whether each sample has a score of its own.
  private var isPerSample = true

  init(label: MetricLabel, score: @escaping @Sendable (MetricBatch) throws -> [Double]) {
    (self.label, self.score) = (label, score)
  }

  mutating func add(_ batch: MetricBatch) throws {
    let scores = try score(batch)
    let count = batch.samples.count
    guard scores.count == count || scores.count == 1 else {
      throw SwiftletError(
        .badInput, "the metric returned \(scores.count) scores for \(count) samples",
        at: "metric '\(label.name)'", fix: "return one for each sample, or a single one")
    }
    if scores.count < count { isPerSample = false }
    let worst: Double = label.higherIsBetter ? -.infinity : .infinity
    units += scores.map { $0.isNaN ? worst : $0 }
    sizes += scores.map { _ in Double(count) / Double(scores.count) }
  }

  mutating func finish() -> MetricResult {
    MetricResult(units: units, weights: isPerSample ? [] : sizes)
  }
}
