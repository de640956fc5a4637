// SPDX-License-Identifier: Apache-2.0

extension ComparisonReport.Model: ComparedModel {
  var operations: Int? { macs }
}

extension ComparisonReport: ComparisonPage {
  /// The report as a self-contained HTML page.
  public var html: String { page }

  var facts: [String?] {
    [
      data, "\(ReportNumber.count(images)) images", damaged.flatMap(ReportPart.damaged), machine,
    ]
  }

  var sections: [ReportPage.Section] {
    [accuracySection, tradeOffSection, speedSection].compactMap { $0 }
  }

  private var accuracySection: ReportPage.Section {
    let rows = models.enumerated().map { index, model in
      let interval = WilsonInterval(top1: model.top1, images: images)
      return ReportPart.row(
        [
          .init("\(index + 1)"),
          .init(
            model.name,
            small: model.agreement.map { "\(ReportNumber.percent($0)) agree" },
            style: "left name"),
          .init(ReportNumber.percent(model.top1), small: interval.map { ReportNumber.range($0) }),
          .init(
            model.paired.map { ReportNumber.points(-$0.drop) } ?? "",
            small: model.paired.map { "p = \(ReportNumber.significant($0.pValue))" }),
        ] + metricCells(model) + sizes(model))
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
        ] + metricHeader + [.init("file"), .init("MACs")], rows, isWide: true))
  }

  private var tradeOffSection: ReportPage.Section {
    var tradeOff = TradeOff(
      gain: .top1,
      points: models.enumerated().map { index, model in
        TradeOff.Point(
          label: model.name, gain: model.top1 * 100, milliseconds: mainTime(model),
          bytes: model.fileBytes, role: index == 0 ? .original : .other,
          interval: WilsonInterval(top1: model.top1, images: images).map {
            $0.low * 100...$0.high * 100
          })
      }, cell: mainCell)
    (tradeOff.originalName, tradeOff.otherName) = (models[0].name, "compared with it")
    return ReportPage.Section(
      title: "Trade-off",
      explanation: "Higher is more accurate, further left is faster or smaller; the numbers are "
        + "those in the tables. A model below the line costs more than another one of the same "
        + "accuracy. The vertical bar is a 95 % confidence interval; the others' are similar.",
      content: tradeOff.html)
  }
}
