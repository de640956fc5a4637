// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletCharts

/// What the pages of compressions with labels and without have in common.
protocol CompressionPage {
  /// What the model is judged on, in the plural.
  static var samples: String { get }

  var model: String { get }
  var output: String { get }
  var techniques: [Technique] { get }
  var recipe: Recipe { get }
  var layers: [LayerReport] { get }
  var threads: Int { get }
  var machine: String? { get }
  /// How all compared outputs agree with the original's.
  var agreement: Agreement? { get }
  var costs: PageCosts { get }
  /// All measured speeds; empty if there are none.
  var allSpeeds: [SpeedRow] { get }
}

/// What both models cost, whatever the machine.
struct PageCosts {
  let fileBytes: (before: Int, after: Int)
  let parameters: (before: Int, after: Int)
  /// Multiply–accumulate operations per sample; `nil` if not known.
  let macs: (before: Int, after: Int)?
}

extension CompressionPage {
  /// The line of facts under the title.
  func facts(_ samples: String?, _ damaged: Int?) -> [String?] {
    [
      "\(model) → \(output)", recipe.techniques, samples,
      damaged.flatMap(ReportPart.damaged),
      "\(threads) thread\(threads == 1 ? "" : "s")", machine,
    ]
  }

  /// The headline speed: the largest batch on the most threads.
  var mainSpeed: SpeedRow? { allSpeeds.max { ($0.threads, $0.batch) < ($1.threads, $1.batch) } }

  /// How each output agrees with the original's, if they were compared.
  var answerSection: ReportPage.Section? { agreement?.section }

  // MARK: Costs

  /// The headline figures of size, operations and speed.
  var costTiles: [ReportPage.Tile] {
    let (bytes, macs) = (costs.fileBytes, costs.macs)
    return [
      ReportPage.Tile(
        name: "file", value: ReportNumber.times(ratio(bytes), "smaller", "larger"),
        detail: "\(ReportNumber.bytes(bytes.before)) → \(ReportNumber.bytes(bytes.after))"),
      macs.map { macs in
        ReportPage.Tile(
          name: "operations", value: ReportNumber.times(ratio(macs), "fewer", "more"),
          detail: "\(ReportNumber.short(macs.before)) → \(ReportNumber.short(macs.after)) MACs")
      },
      mainSpeed.map { speed in
        ReportPage.Tile(
          name: speed.cell, value: ReportNumber.times(speed.ratio, "faster", "slower"),
          detail: "\(ReportNumber.significant(speed.millisecondsBefore)) → "
            + "\(ReportNumber.significant(speed.millisecondsAfter)) ms")
      },
    ].compactMap { $0 }
  }

  /// The table of costs and speeds before and after.
  ///
  /// - Parameters:
  ///   - sample: What operations are counted for: `image`.
  ///   - first: The HTML of rows that come first.
  func costTable(per sample: String, first: [String] = []) -> String {
    var rows = first
    rows.append(row("file, bytes", costs.fileBytes, "smaller", "larger"))
    rows.append(row("parameters", costs.parameters, "fewer", "more"))
    if let macs = costs.macs { rows.append(row("MACs per \(sample)", macs, "fewer", "more")) }
    if !allSpeeds.isEmpty {
      rows.append(
        ReportPart.group("Median time per run, ms (\(Self.samples) per second)", columns: 4))
    }
    rows += allSpeeds.map { speed in
      let rate = { (milliseconds: Double) in
        "\(ReportNumber.significant(Double(speed.batch) / milliseconds * 1e3))/s"
      }
      return ReportPart.row([
        .init(speed.cell),
        .init(
          ReportNumber.significant(speed.millisecondsBefore),
          small: rate(speed.millisecondsBefore)),
        .init(
          ReportNumber.significant(speed.millisecondsAfter), small: rate(speed.millisecondsAfter)),
        change(speed.ratio, "faster", "slower"),
      ])
    }
    return ReportPart.table(
      [.init(""), .init("before"), .init("after"), .init("change")], rows, isWide: true)
  }

  private func row(
    _ name: String, _ cost: (before: Int, after: Int), _ less: String, _ more: String
  ) -> String {
    ReportPart.row([
      .init(name), .init(ReportNumber.count(cost.before)), .init(ReportNumber.count(cost.after)),
      change(ratio(cost), less, more),
    ])
  }

  private func change(_ ratio: Double, _ better: String, _ worse: String) -> ReportPart.Cell {
    guard ratio.isFinite, ratio > 0, max(ratio, 1 / ratio) >= 1.005 else { return .init("–") }
    return .init(
      "\(ReportNumber.significant(max(ratio, 1 / ratio))) ×", small: ratio > 1 ? better : worse,
      style: ratio > 1 ? "good" : "bad")
  }

  private func ratio(_ cost: (before: Int, after: Int)) -> Double {
    Double(cost.before) / Double(cost.after)
  }

  // MARK: Recipe

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
