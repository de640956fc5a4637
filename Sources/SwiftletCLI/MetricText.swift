// SPDX-License-Identifier: Apache-2.0

import Swiftlet

extension MetricReport {
  /// The row of the table of figures before and after.
  var cells: [String] {
    [metric.shortName, metric.text(ofScore: before), metric.text(ofScore: after)]
  }

  /// `cosine 0.998`; `nil` if a candidate was not judged.
  func text(ofCandidate score: Double?) -> String? {
    score.map { "\(metric.shortName) \(metric.text(ofScore: $0))" }
  }
}

/// The columns of a metric in tables of models: score and drop. None if they have no metric, or not
/// the same.
struct MetricColumns {
  let header: [String]
  /// The row of the original, which has no report of its own.
  let original: [String]

  init(_ reports: [MetricReport?]) {
    let first = MetricReport.shared(by: reports)
    header = first.map { [$0.metric.shortName, $0.metric.loss] } ?? []
    original = first.map { [$0.metric.text(ofScore: $0.before), ""] } ?? []
  }

  func row(_ report: MetricReport?) -> [String] {
    guard let report, !header.isEmpty else { return [] }
    let (metric, drop) = (report.metric, report.paired.drop)
    return [metric.text(ofScore: report.after), drop == 0 ? "" : metric.text(ofDrop: drop)]
  }
}
