// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

extension CompressionReport: CompressionPage {
  static var samples: String { "images" }

  var costs: PageCosts {
    PageCosts(
      fileBytes: (before.fileBytes, after.fileBytes),
      parameters: (before.parameters, after.parameters), macs: (before.macs, after.macs))
  }

  /// The figures before and after.
  var summarySection: ReportPage.Section {
    ReportPage.Section(
      title: "Before and after",
      explanation: remarks + (metric.map { "\($0.metric.name): \($0.drops). " } ?? "")
        + "Accuracy: \(drops). The range under an accuracy is its 95 % confidence "
        + "interval. Times are medians; both models were timed in alternation, so their ratio is "
        + "reliable.",
      content: costTable(
        per: "image", first: [metric?.row, accuracyRow].compactMap { $0 }))
  }

  /// Warnings and remarks that precede the figures.
  private var remarks: String {
    ((warnings ?? []) + [division].compactMap { $0 }).map { "\($0). " }.joined()
  }

  /// The four headline figures; with another metric than top-1 accuracy, five.
  var tiles: [ReportPage.Tile] {
    [
      metric?.tile,
      ReportPage.Tile(
        name: "top-1", value: ReportNumber.percent(after.top1),
        detail: "\(ReportNumber.points(-drop)) points, from \(ReportNumber.percent(before.top1))"),
    ].compactMap { $0 } + costTiles
  }

  private var accuracyRow: String {
    func interval(_ side: Side) -> String? {
      WilsonInterval(top1: side.top1, images: images).map { ReportNumber.range($0) }
    }
    return ReportPart.row([
      .init("top-1"), .init(ReportNumber.percent(before.top1), small: interval(before)),
      .init(ReportNumber.percent(after.top1), small: interval(after)),
      .init(
        ReportNumber.points(-drop), small: "points",
        style: drop > 0 ? "bad" : drop < 0 ? "good" : nil),
    ])
  }

  /// All measured speeds; for reports of older versions, those derived from the figures they have.
  var allSpeeds: [SpeedRow] {
    if let speeds, !speeds.isEmpty { return speeds }
    return [
      SpeedRow(
        threads: threads, batch: 1, millisecondsBefore: before.latencyMs,
        millisecondsAfter: after.latencyMs),
      SpeedRow(
        threads: threads, batch: 32, millisecondsBefore: 32e3 / before.imagesPerSecond,
        millisecondsAfter: 32e3 / after.imagesPerSecond),
    ]
  }
}
