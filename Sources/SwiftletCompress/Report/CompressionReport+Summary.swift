import FoundationEssentials
import SwiftletFormats

extension CompressionReport {
  /// What was gained and lost, in figures.
  var summarySection: ReportPage.Section {
    ReportPage.Section(
      title: "Before and after",
      explanation: "Accuracy: \(paired.summary). The range under an accuracy is where that on all "
        + "images of the kind lies, with 95 % confidence. Times are medians of runs; both models "
        + "took turns, so that their ratio can be trusted.",
      content: tiles + "\n<h3>All figures</h3>\n" + table)
  }

  private var tiles: String {
    let speed = mainSpeed
    let tiles = [
      (
        "\(ReportNumber.percent(after.top1))", "top-1",
        "\(ReportNumber.points(-drop)) points, from \(ReportNumber.percent(before.top1))"
      ),
      (
        ReportNumber.times(ratio(before.fileBytes, after.fileBytes), "smaller", "larger"), "file",
        "\(ReportNumber.bytes(before.fileBytes)) → \(ReportNumber.bytes(after.fileBytes))"
      ),
      (
        ReportNumber.times(ratio(before.macs, after.macs), "fewer", "more"), "operations",
        "\(ReportNumber.short(before.macs)) → \(ReportNumber.short(after.macs)) MACs an image"
      ),
      (
        ReportNumber.times(speed.ratio, "faster", "slower"), Self.cell(speed),
        "\(ReportNumber.significant(speed.millisecondsBefore)) → "
          + "\(ReportNumber.significant(speed.millisecondsAfter)) ms"
      ),
    ]
    let html = tiles.map { value, name, detail in
      """
      <div class="tile"><span>\(Markup.escaped(name))</span><b>\(Markup.escaped(value))</b>\
      <span>\(Markup.escaped(detail))</span></div>
      """
    }
    return "<div class=\"tiles\">\n\(html.joined(separator: "\n"))\n</div>"
  }

  private var table: String {
    func interval(_ side: Side) -> String? {
      WilsonInterval(top1: side.top1, images: images).map { ReportNumber.percent($0) }
    }
    var rows = [
      ReportPart.row([
        .init("top-1"), .init(ReportNumber.percent(before.top1), small: interval(before)),
        .init(ReportNumber.percent(after.top1), small: interval(after)),
        .init("\(ReportNumber.points(-drop)) points", style: drop > 0 ? "bad" : "good"),
      ]),
      row("file, bytes", before.fileBytes, after.fileBytes, "smaller", "larger"),
      row("parameters", before.parameters, after.parameters, "fewer", "more"),
      row("MACs an image", before.macs, after.macs, "fewer", "more"),
      ReportPart.group("Median time of a run, ms", columns: 4),
    ]
    rows += allSpeeds.map { speed in
      let images = { (milliseconds: Double) in
        "\(ReportNumber.significant(Double(speed.batch) / milliseconds * 1e3)) images/s"
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
    .init(
      ReportNumber.times(ratio, better, worse),
      style: ratio > 1.005 ? "good" : ratio < 0.995 ? "bad" : nil)
  }

  private func ratio(_ before: Int, _ after: Int) -> Double { Double(before) / Double(after) }

  static func cell(_ speed: SpeedRow) -> String {
    "batch \(speed.batch), \(speed.threads) thread\(speed.threads == 1 ? "" : "s")"
  }

  /// All that was measured; of older reports what they state.
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

  /// The one to compare by: the largest batch on most threads.
  var mainSpeed: SpeedRow {
    let speeds = allSpeeds
    return speeds.max { ($0.threads, $0.batch) < ($1.threads, $1.batch) } ?? speeds[0]
  }

  /// What was asked for.
  var recipeSection: ReportPage.Section? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let recipe = try? encoder.encode(recipe) else { return nil }
    return ReportPage.Section(
      title: "Recipe", explanation: "",
      content: """
        <details><summary>The steps and their settings</summary>
        <pre>\(Markup.escaped(lines: String(decoding: recipe, as: UTF8.self)))</pre></details>
        """)
  }
}
