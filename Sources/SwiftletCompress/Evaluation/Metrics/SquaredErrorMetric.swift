// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension Metric {
  /// The mean squared error of the floating-point outputs, over all elements of a sample, then over
  /// samples: of the targets if the data have some, else of the original's outputs. Infinite if
  /// elements are not finite where the targets or the original's outputs are; elements that are not
  /// finite there are left out.
  public static let mse = Metric(
    MetricLabel(name: "mse", higherIsBetter: false), .targetsOrOriginal,
    .scorer { _ in SquaredErrorScorer() }, ignoresLabels: true)
}

private struct SquaredErrorScorer: MetricScorer {
  private var units: [Double] = []

  mutating func add(_ batch: MetricBatch) throws {
    var sums = [Double](repeating: 0, count: batch.samples.count)
    var counts = [Int](repeating: 0, count: batch.samples.count)
    let names = batch.floatNames.filter { batch.targets.isEmpty || batch.target(of: $0) != nil }
    guard !names.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no targets for the floating-point outputs", at: "metric 'mse'",
        fix: "name arrays of the data after outputs, or choose one with --judged-output")
    }
    for name in names {
      let own = try batch.rows(name)
      let wanted =
        try batch.target(of: name).map {
          try SampleRows($0, named: name, samples: batch.samples.count)
        } ?? batch.originalRows(name)
      // N×1 outputs may have targets of N numbers.
      guard own.width == wanted.width else {
        guard batch.target(of: name) != nil else {
          // Nothing to compare: as bad as answers that are not numbers.
          for sample in sums.indices { (sums[sample], counts[sample]) = (.infinity, 1) }
          continue
        }
        throw SwiftletError(
          .badInput, "the targets are \(wanted.shape), but output '\(name)' is \(own.shape)",
          at: "metric 'mse'", fix: "give targets of the output's shape")
      }
      for sample in sums.indices {
        let (a, b) = (wanted.row(sample), own.row(sample))
        for i in a.indices where a[i].isFinite {
          let error = a[i] - b[i]
          sums[sample] += error.isFinite ? error * error : .infinity
          counts[sample] += 1
        }
      }
    }
    units += zip(sums, counts).map { $1 > 0 ? $0 / Double($1) : .nan }
  }

  mutating func finish() -> MetricResult { MetricResult(units: units) }
}
