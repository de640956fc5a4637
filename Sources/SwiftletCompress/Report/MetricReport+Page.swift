// SPDX-License-Identifier: Apache-2.0

extension MetricReport {
  /// The headline figure.
  var tile: ReportPage.Tile {
    ReportPage.Tile(
      name: metric.shortName, value: text(after), detail: "\(change), from \(text(before))")
  }

  /// The row of the table of figures before and after.
  var row: String {
    let isWorse = paired.drop > 0
    return ReportPart.row([
      .init(metric.shortName), .init(text(before)), .init(text(after)),
      .init(
        change, small: metric.higherIsBetter ? nil : "lower is better",
        style: isWorse ? "bad" : paired.drop < 0 ? "good" : nil),
    ])
  }

  /// The scores as they are plotted: percentages for fractions.
  var gain: TradeOff.Gain {
    TradeOff.Gain(
      name: metric.shortName + (metric.higherIsBetter ? "" : ", negative"),
      unit: metric.isFraction ? "%" : "", decimals: metric.isFraction ? 2 : 4,
      bounds: metric.isFraction && metric.higherIsBetter ? 0...100 : nil)
  }

  /// A score on the axis of ``gain``, where higher is better.
  func plotted(_ score: Double) -> Double { score * metric.dropScale }

  /// `−0.12 points`, or `−0.0123`.
  private var change: String {
    let difference = (after - before) * abs(metric.dropScale)
    return metric.isFraction
      ? "\(ReportNumber.points(difference)) points"
      : (difference > 0 ? "+" : "") + ReportNumber.significant(difference)
  }

  private func text(_ score: Double) -> String {
    metric.isFraction ? ReportNumber.percent(score) : metric.text(ofScore: score)
  }
}

extension MetricLabel {
  /// The name in tables: commands are only called so.
  package var shortName: String { name.hasPrefix("command") ? "command" : name }
}
