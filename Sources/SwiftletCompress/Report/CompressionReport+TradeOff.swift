// SPDX-License-Identifier: Apache-2.0

extension CompressionReport {
  /// All models that were tried, including the original and the chosen one.
  var tradeOffSection: ReportPage.Section {
    let tradeOff = TradeOff(points: tradeOffPoints, cell: Self.cell(mainSpeed))
    let rows = tradeOff.points.enumerated().map { index, point in
      ReportPart.row(
        [
          .init(tradeOff.number(index)),
          .init(point.label, small: point.remark, style: "left name"),
          .init(ReportNumber.percent(point.top1)),
          .init(point.milliseconds.map { ReportNumber.significant($0) } ?? ""),
          .init(ReportNumber.bytes(point.bytes)),
        ], style: point.role == .chosen ? "chosen" : nil)
    }
    let missing = (candidates ?? []).filter { $0.top1 == nil }
    let others = missing.map { candidate in
      ReportPart.row([
        .init("–"),
        .init(candidate.label, small: candidate.reason ?? "not evaluated", style: "left name"),
        .init("–"),
        .init(candidate.milliseconds.map { ReportNumber.significant($0) } ?? "–"),
        .init(ReportNumber.bytes(candidate.bytes)),
      ])
    }
    return ReportPage.Section(
      title: "Trade-off",
      explanation:
        "Higher is more accurate, further left is faster or smaller. A model below the line "
        + "costs more than another one of the same accuracy. Vertical bars are 95 % confidence "
        + "intervals.",
      content: tradeOff.html
        + ReportPart.table(
          [
            .init("№"), .init("model", style: "left"), .init("top-1"), .init("ms"), .init("file"),
          ], rows + others, isWide: true))
  }

  private var tradeOffPoints: [TradeOff.Point] {
    let speed = mainSpeed
    let interval = { (side: Side) in WilsonInterval(top1: side.top1, images: self.images) }
    let taken = candidates?.first(where: \.chosen)
    let original = TradeOff.Point(
      label: "dense", top1: before.top1, milliseconds: speed.millisecondsBefore,
      bytes: before.fileBytes, role: .original, interval: interval(before), remark: "the original")
    let others = (candidates ?? []).filter { !$0.chosen }.compactMap { candidate in
      candidate.top1.map { top1 in
        TradeOff.Point(
          label: candidate.label, top1: top1, milliseconds: candidate.milliseconds,
          bytes: candidate.bytes, role: .other, remark: candidate.reason)
      }
    }
    // Uses the figures of the table above, so that both agree.
    let chosen = TradeOff.Point(
      label: taken?.label ?? techniques.map(\.rawValue).joined(separator: ", "), top1: after.top1,
      milliseconds: speed.millisecondsAfter, bytes: after.fileBytes, role: .chosen,
      interval: interval(after), remark: "chosen")
    return [original] + others + [chosen]
  }
}
