// SPDX-License-Identifier: Apache-2.0

extension ComparisonReport {
  /// One page that needs nothing else.
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
          small: model.agreement.map { "\(ReportNumber.percent($0)) answered alike" },
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
      title: "Accuracy and weight",
      explanation: "All models answered the same images. The range under an accuracy is where that "
        + "on all images of the kind lies, with 95 % confidence; p is how likely two equally good "
        + "models would differ as much (McNemar). Answered alike are images for which a model "
        + "chooses the same class as the first. Factors compare with the first model.",
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
      explanation: "Up is more often right, left is faster or smaller; numbers are those of the "
        + "tables. A model below the line costs more than another that is right as often. The upright "
        + "bar is 95 % confidence: others are about as wide.",
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
      title: "Median time of a run, ms",
      explanation: isOneRun
        ? "All models took turns in one run, so that ratios can be trusted. Factors say how many "
          + "times as fast as the first model."
        : "Each model took turns with the dense one in a run of its own: small differences between "
          + "rows mean nothing. Factors say how many times as fast as the dense model of the first "
          + "report.",
      content: ReportPart.table(
        [.init("№"), .init("model", style: "left")]
          + first.map { .init("batch \($0.batch)", small: threads($0)) }, rows, isWide: true))
  }

  private func threads(_ speed: Speed) -> String {
    "\(speed.threads) thread\(speed.threads == 1 ? "" : "s")"
  }

  private func name(_ speed: Speed) -> String { "batch \(speed.batch), \(threads(speed))" }
}
