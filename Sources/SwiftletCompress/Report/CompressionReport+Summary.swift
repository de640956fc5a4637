// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletCharts

extension CompressionReport {
  /// The figures before and after.
  var summarySection: ReportPage.Section {
    ReportPage.Section(
      title: "Before and after",
      explanation: remarks
        + "Accuracy: \(drops). The range under an accuracy is its 95 % confidence "
        + "interval. Times are medians; both models were timed in alternation, so their ratio is "
        + "reliable.",
      content: table)
  }

  /// Warnings and remarks that precede the figures.
  private var remarks: String {
    ((warnings ?? []) + [division].compactMap { $0 }).map { "\($0). " }.joined()
  }

  /// The four headline figures.
  var tiles: [ReportPage.Tile] {
    let speed = mainSpeed
    return [
      .init(
        name: "top-1", value: ReportNumber.percent(after.top1),
        detail: "\(ReportNumber.points(-drop)) points, from \(ReportNumber.percent(before.top1))"),
      .init(
        name: "file",
        value: ReportNumber.times(ratio(before.fileBytes, after.fileBytes), "smaller", "larger"),
        detail: "\(ReportNumber.bytes(before.fileBytes)) → \(ReportNumber.bytes(after.fileBytes))"),
      .init(
        name: "operations",
        value: ReportNumber.times(ratio(before.macs, after.macs), "fewer", "more"),
        detail: "\(ReportNumber.short(before.macs)) → \(ReportNumber.short(after.macs)) MACs"),
      .init(
        name: Self.cell(speed), value: ReportNumber.times(speed.ratio, "faster", "slower"),
        detail: "\(ReportNumber.significant(speed.millisecondsBefore)) → "
          + "\(ReportNumber.significant(speed.millisecondsAfter)) ms"),
    ]
  }

  private var table: String {
    func interval(_ side: Side) -> String? {
      WilsonInterval(top1: side.top1, images: images).map { ReportNumber.range($0) }
    }
    var rows = [
      ReportPart.row([
        .init("top-1"), .init(ReportNumber.percent(before.top1), small: interval(before)),
        .init(ReportNumber.percent(after.top1), small: interval(after)),
        .init(
          ReportNumber.points(-drop), small: "points",
          style: drop > 0 ? "bad" : drop < 0 ? "good" : nil),
      ]),
      row("file, bytes", before.fileBytes, after.fileBytes, "smaller", "larger"),
      row("parameters", before.parameters, after.parameters, "fewer", "more"),
      row("MACs per image", before.macs, after.macs, "fewer", "more"),
      ReportPart.group("Median time per run, ms (images per second)", columns: 4),
    ]
    rows += allSpeeds.map { speed in
      let images = { (milliseconds: Double) in
        "\(ReportNumber.significant(Double(speed.batch) / milliseconds * 1e3))/s"
      }
      return ReportPart.row([
        .init(Self.cell(speed)),
        .init(
          ReportNumber.significant(speed.millisecondsBefore),
          small: images(speed.millisecondsBefore)),
        .init(
          ReportNumber.significant(speed.millisecondsAfter),
          small: images(speed.millisecondsAfter)),
        change(speed.ratio, "faster", "slower"),
      ])
    }
    return ReportPart.table(
      [.init(""), .init("before"), .init("after"), .init("change")], rows, isWide: true)
  }

  private func row(
    _ name: String, _ before: Int, _ after: Int, _ less: String, _ more: String
  ) -> String {
    ReportPart.row([
      .init(name), .init(ReportNumber.count(before)), .init(ReportNumber.count(after)),
      change(ratio(before, after), less, more),
    ])
  }

  private func change(_ ratio: Double, _ better: String, _ worse: String) -> ReportPart.Cell {
    guard ratio.isFinite, ratio > 0, max(ratio, 1 / ratio) >= 1.005 else { return .init("–") }
    return .init(
      "\(ReportNumber.significant(max(ratio, 1 / ratio))) ×", small: ratio > 1 ? better : worse,
      style: ratio > 1 ? "good" : "bad")
  }

  private func ratio(_ before: Int, _ after: Int) -> Double { Double(before) / Double(after) }

  static func cell(_ speed: SpeedRow) -> String {
    "batch \(speed.batch), \(speed.threads) thread\(speed.threads == 1 ? "" : "s")"
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

  /// The headline speed: the largest batch on the most threads.
  var mainSpeed: SpeedRow {
    let speeds = allSpeeds
    return speeds.max { ($0.threads, $0.batch) < ($1.threads, $1.batch) } ?? speeds[0]
  }

  /// The recipe.
  var recipeSection: ReportPage.Section? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let recipe = try? encoder.encode(recipe) else { return nil }
    return ReportPage.Section(
      title: "Recipe", explanation: "",
      content: """
        <details><summary>Steps and settings</summary>
        <pre>\(Markup.escaped(lines: String(decoding: recipe, as: UTF8.self)))</pre></details>
        """)
  }
}
