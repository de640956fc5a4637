// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

extension UnlabelledComparison.Model: ComparedModel {
  var operations: Int? { macs }
}

extension UnlabelledComparison: ComparisonPage {
  /// The comparison as a self-contained HTML page.
  public var html: String { page }

  /// A page with a comparison with labels, and this one below it.
  ///
  /// - Parameter labelled: The comparison that comes first.
  public func html(after labelled: ComparisonReport) -> String {
    ReportPage(
      title: "\(labelled.models.count + models.count) models compared",
      facts: ["\(labelled.models.count) with labels, \(models.count) without", machine],
      sections: labelled.sections
        + sections.map { section in
          ReportPage.Section(
            title: "\(section.title), without labels", explanation: section.explanation,
            content: section.content)
        }
    ).html
  }

  var facts: [String?] {
    [
      data, samples > 0 ? "\(ReportNumber.count(samples)) sample\(samples == 1 ? "" : "s")" : nil,
      damaged.flatMap(ReportPart.damaged), machine,
    ]
  }

  var sections: [ReportPage.Section] {
    [answerSection, outputSection, tradeOffSection, speedSection].compactMap { $0 }
  }

  /// The agreement that says in which unit answers are compared.
  private var measured: Agreement? { models.lazy.compactMap(\.agreement).first }

  /// The models that answers are compared with.
  private var others: String {
    isOneRun ? "the first model's" : "those of each model's own original"
  }

  private var answerSection: ReportPage.Section {
    let rows = models.enumerated().map { index, model in
      ReportPart.row(
        [
          .init("\(index + 1)"),
          .init(
            model.name,
            small: model.agreement?.top1.map { "\(ReportNumber.percent($0)) agree" },
            style: "left name"),
          .init(
            model.agreement?.likeness ?? (index == 0 ? "" : "–"),
            style: model.agreement.map { $0.decibels < CompressionVerdict.leastDecibels } == true
              ? "bad" : nil),
          .init(model.agreement?.cosine.map { ReportNumber.fixed($0, 4) } ?? ""),
        ] + metricCells(model) + sizes(model))
    }
    return ReportPage.Section(
      title: "Answers and size",
      explanation: "Answers are compared with \(others), for the same samples; the worst output "
        + "counts. “Agree” is the share of samples with the same top-1 class, for "
        + "outputs with scores of classes; the cosine is that of the angle between both models' "
        + "vectors, as a mean over the samples. Factors are relative to the first model.",
      content: ReportPart.table(
        [
          .init("№"), .init("model", style: "left"), .init("answers"), .init("cosine"),
        ] + metricHeader + [.init("file"), .init("MACs")], rows, isWide: true))
  }

  /// The outputs of each model, if one has several or outputs that are not finite.
  private var outputSection: ReportPage.Section? {
    let compared = models.enumerated().compactMap { index, model in
      model.agreement.map { (index: index, name: model.name, agreement: $0) }
    }
    guard
      compared.contains(where: { $0.agreement.outputs.count > 1 || $0.agreement.brokenBy != nil })
    else { return nil }
    let tables = compared.map { model in
      let broken = model.agreement.brokenBy.map {
        "<p class=\"soft\">\(Markup.escaped(Agreement.broken(by: $0)))</p>\n"
      }
      return "<h3>\(model.index + 1) \(Markup.escaped(model.name))</h3>\n\(broken ?? "")"
        + model.agreement.table
    }
    return ReportPage.Section(
      title: "Outputs", explanation: Agreement.explanation,
      content: tables.joined(separator: "\n"))
  }

  private var tradeOffSection: ReportPage.Section? {
    guard let measured, models.count > 1 else { return nil }
    let gain = measured.gain
    let isEqual = gain.bounds != nil
    let points = models.enumerated().map { index, model in
      let decibels = model.agreement.flatMap { $0.decibels.isFinite ? $0.decibels : nil }
      return TradeOff.Point(
        label: model.name,
        gain: index == 0 ? isEqual ? 100 : nil : decibels.map(measured.value),
        milliseconds: mainTime(model), bytes: model.fileBytes,
        role: index == 0 ? .original : .other)
    }
    var tradeOff = TradeOff(
      gain: gain, points: isEqual ? points : Array(points.dropFirst()), cell: mainCell)
    (tradeOff.originalName, tradeOff.otherName) = ("№ 1", "compared with it")
    if !isEqual {
      tradeOff.reference = points[0]
      tradeOff.firstNumber = 2
    }
    let content = tradeOff.html
    guard !content.isEmpty else { return nil }
    return ReportPage.Section(
      title: "Trade-off",
      explanation:
        "Higher is closer to the answers of \(isOneRun ? "the first model" : "the original"), "
        + "further left is faster or smaller; the numbers are those in the tables. A model below "
        + "the line costs more than another one that is as close."
        + (isEqual ? "" : " The dashed line marks the first model."),
      content: content)
  }
}
