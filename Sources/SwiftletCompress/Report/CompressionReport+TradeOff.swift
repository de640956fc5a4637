// SPDX-License-Identifier: Apache-2.0

extension CompressionReport {
  /// All models that were tried, including the original and the chosen one.
  var tradeOffSection: ReportPage.Section {
    let tradeOff = TradeOff(gain: .top1, points: tradeOffPoints, cell: mainSpeed?.cell)
    return ReportPage.Section(
      title: "Trade-off",
      explanation:
        "Higher is more accurate, further left is faster or smaller. A model below the line "
        + "costs more than another one of the same accuracy. Vertical bars are 95 % confidence "
        + "intervals.",
      content: tradeOff.html + tradeOff.table)
  }

  private var tradeOffPoints: [TradeOff.Point] {
    let speed = mainSpeed
    let interval = { (side: Side) in
      WilsonInterval(top1: side.top1, images: self.images).map { $0.low * 100...$0.high * 100 }
    }
    let taken = candidates?.first(where: \.chosen)
    let original = TradeOff.Point(
      label: "dense", gain: before.top1 * 100, milliseconds: speed?.millisecondsBefore,
      bytes: before.fileBytes, role: .original, interval: interval(before), remark: "the original")
    let others = (candidates ?? []).filter { !$0.chosen }.map { candidate in
      TradeOff.Point(
        label: candidate.label, gain: candidate.top1.map { $0 * 100 },
        milliseconds: candidate.milliseconds, bytes: candidate.bytes, role: .other,
        remark: candidate.reason ?? (candidate.top1 == nil ? "not evaluated" : nil))
    }
    // Uses the figures of the table above, so that both agree.
    let chosen = TradeOff.Point(
      label: taken?.label ?? techniques.map(\.rawValue).joined(separator: ", "),
      gain: after.top1 * 100, milliseconds: speed?.millisecondsAfter, bytes: after.fileBytes,
      role: .chosen, interval: interval(after), remark: "chosen")
    return [original] + others.filter { $0.gain != nil } + [chosen]
      + others.filter { $0.gain == nil }
  }
}
