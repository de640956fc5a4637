// SPDX-License-Identifier: Apache-2.0

extension ComparisonReport {
  /// The report as a self-contained HTML page.
  public var html: String {
    ReportPage(
      title: "\(models.count) models compared",
      facts: [data, "\(ReportNumber.count(images)) images", machine],
      sections: [accuracySection, tradeOffSection, speedSection]
    ).html
  }

  private var accuracySection: ReportPage.Section {
    let first = models[0]
    let rows = models.enumerated().map { index, model in
      let interval = WilsonInterval(top1: model.top1, images: images)
      return ReportPart.row([
        .init("\(index + 1)"),
        .init(
          model.name,
          small: model.agreement.map { "\(ReportNumber.percent($0)) agree" },
          style: "left name"),
        .init(ReportNumber.percent(model.top1), small: interval.map { ReportNumber.range($0) }),
        .init(
          model.paired.map { ReportNumber.points(-$0.drop) } ?? "",
          small: model.paired.map { "p = \(ReportNumber.significant($0.pValue))" }),
        weight(model.fileBytes, first.fileBytes, ReportNumber.bytes),
        weight(model.macs, first.macs, ReportNumber.short),
      ])
    }
    return ReportPage.Section(
      title: "Accuracy and size",
      explanation: "All models classified the same images. The range under an accuracy is its 95 % "
        + "confidence interval; p is the probability that two equally accurate models differ at "
        + "least this much (McNemar's test). “Agree” is the share of images for which a model "
        + "chooses the same class as the first. Factors are relative to the first model.",
      content: ReportPart.table(
        [
          .init("№"), .init("model", style: "left"), .init("top-1"), .init("points"),
          .init("file"), .init("MACs"),
        ], rows, isWide: true))
  }

  private func weight(_ value: Int, _ first: Int, _ text: (Int) -> String) -> ReportPart.Cell {
    let factor = Double(first) / Double(value)
    return .init(
      text(value), small: factor.isFinite ? "÷ \(ReportNumber.significant(factor))" : nil)
  }

  private var tradeOffSection: ReportPage.Section {
    let cell = models[0].speeds.last.map { name($0) } ?? ""
    var tradeOff = TradeOff(
      points: models.enumerated().map { index, model in
        TradeOff.Point(
          label: model.name, top1: model.top1, milliseconds: model.speeds.last?.milliseconds,
          bytes: model.fileBytes, role: index == 0 ? .original : .other,
          interval: WilsonInterval(top1: model.top1, images: images))
      }, cell: cell)
    (tradeOff.originalName, tradeOff.otherName) = (models[0].name, "compared with it")
    return ReportPage.Section(
      title: "Trade-off",
      explanation: "Higher is more accurate, further left is faster or smaller; the numbers are "
        + "those in the tables. A model below the line costs more than another one of the same "
        + "accuracy. The vertical bar is a 95 % confidence interval; the others' are similar.",
      content: tradeOff.html)
  }

  private var speedSection: ReportPage.Section {
    let first = models[0].speeds
    let rows = models.enumerated().map { index, model in
      ReportPart.row(
        [.init("\(index + 1)"), .init(model.name, style: "left name")]
          + first.map { cell in
            guard
              let speed = model.speeds.first(where: {
                ($0.threads, $0.batch) == (cell.threads, cell.batch)
              })
            else { return .init("–") }
            let ratio = cell.milliseconds / speed.milliseconds
            return .init(
              ReportNumber.significant(speed.milliseconds),
              small: "\(ReportNumber.significant(ratio)) ×",
              style: ratio > 1.005 ? "good" : ratio < 0.995 ? "bad" : nil)
          })
    }
    return ReportPage.Section(
      title: "Median time per run, ms",
      explanation: isOneRun
        ? "All models were timed in alternation, so ratios are reliable. Factors are speeds "
          + "relative to the first model."
        : "Each model was timed in alternation with its dense original, but separately from the "
          + "other models: ignore small differences between rows. Factors are speeds relative to "
          + "the dense model of the first report.",
      content: ReportPart.table(
        [.init("№"), .init("model", style: "left")]
          + first.map { .init("batch \($0.batch)", small: threads($0)) }, rows, isWide: true))
  }

  private func threads(_ speed: Speed) -> String {
    "\(speed.threads) thread\(speed.threads == 1 ? "" : "s")"
  }

  private func name(_ speed: Speed) -> String { "batch \(speed.batch), \(threads(speed))" }
}
