// SPDX-License-Identifier: Apache-2.0

extension UnlabelledReport: CompressionPage {
  static var samples: String { "samples" }

  var costs: PageCosts {
    let macs = before.macs.flatMap { before in after.macs.map { (before: before, after: $0) } }
    return PageCosts(
      fileBytes: (before.fileBytes, after.fileBytes),
      parameters: (before.parameters, after.parameters), macs: macs)
  }

  var allSpeeds: [SpeedRow] { speeds ?? [] }

  /// The report as a self-contained HTML page.
  public var html: String {
    let samples = agreement.map { count($0.samples) }
    return ReportPage(
      title: "\(CompressionReport.name(model)), compressed", verdict: verdict,
      facts: facts(samples, damaged), tiles: tiles,
      sections: [
        summarySection, answerSection, tradeOffSection, layerSection, spectrumSection,
        measurementSection, recipeSection,
      ]
    ).html
  }

  private func count(_ samples: Int) -> String {
    "\(ReportNumber.count(samples)) sample\(samples == 1 ? "" : "s")"
  }

  private var tiles: [ReportPage.Tile] {
    let answers = agreement.map { agreement in
      let first = agreement.top1.map { "same top-1 class in \(ReportNumber.percent($0))" }
      let worst = agreement.outputs.first.map { "output \($0.name), the worst" }
      return ReportPage.Tile(
        name: "answers", value: agreement.likeness,
        detail: (agreement.outputs.count > 1 ? worst : first) ?? "against the original's")
    }
    return [metric?.tile, answers].compactMap { $0 } + costTiles
  }

  private var summarySection: ReportPage.Section {
    var explanation = (warnings ?? []).map { "Warning: \($0). " }.joined()
    if let metric { explanation += "\(metric.metric.name): \(metric.drops). " }
    if agreement == nil { explanation += "There were no samples to compare answers on. " }
    if !allSpeeds.isEmpty {
      explanation +=
        "Times are medians; both models were timed in alternation, so their ratio is reliable."
    }
    return ReportPage.Section(
      title: "Before and after", explanation: explanation,
      content: costTable(per: "sample", first: [metric?.row].compactMap { $0 }))
  }

  /// The models that were tried: how well their answers agree, over what they cost.
  private var tradeOffSection: ReportPage.Section? {
    guard let candidates, !candidates.isEmpty else { return nil }
    let gain = agreement?.gain ?? .decibels
    let time = mainSpeed?.millisecondsBefore
    let points = candidates.map { candidate in
      let isChosen = candidate.chosen
      return TradeOff.Point(
        label: candidate.label ?? candidate.techniques.map(\.rawValue).joined(separator: ", "),
        gain: candidate.decibels.map { agreement?.value($0) ?? $0 },
        milliseconds: candidate.speedup.flatMap { speedup in time.map { $0 / speedup } },
        bytes: candidate.bytes ?? (isChosen ? after.fileBytes : nil),
        role: isChosen ? .chosen : .other, remark: isChosen ? "chosen" : candidate.reason)
    }
    let isEqual = gain.bounds != nil
    let original = TradeOff.Point(
      label: "original", gain: isEqual ? gain.bounds?.upperBound : nil, milliseconds: time,
      bytes: before.fileBytes, role: .original,
      remark: candidates.contains(where: \.chosen) ? nil : "chosen")
    var tradeOff = TradeOff(
      gain: gain,
      points: (isEqual ? [original] : []) + points.filter { $0.gain != nil }
        + points.filter { $0.gain == nil },
      cell: mainSpeed?.cell)
    tradeOff.originalName = "original"
    if !isEqual { tradeOff.reference = original }
    return ReportPage.Section(
      title: "Trade-off",
      explanation:
        "Higher is closer to the original's answers, further left is faster or smaller. A model "
        + "below the line costs more than another one that is as close."
        + (isEqual ? "" : " The dashed line marks the original."),
      content: tradeOff.html + tradeOff.table)
  }

  private var measurementSection: ReportPage.Section {
    let speed =
      allSpeeds.isEmpty
      ? "not measured"
      : "on the first samples, both models in alternation: "
        + allSpeeds.map(\.cell).joined(separator: "; ")
    let facts = [
      ("answers", division.map { "compared \($0)" } ?? "not compared, as there are no samples"),
      ("times", speed), ("threads", "\(threads)"), ("machine", machine ?? "–"),
      ("original", model), ("compressed", output),
    ]
    return ReportPage.Section(
      title: "Measurement", explanation: "",
      content: ReportPart.table(
        [.init(""), .init("", style: "left")],
        facts.map { ReportPart.row([.init($0.0), .init($0.1, style: "left name")]) }))
  }
}
