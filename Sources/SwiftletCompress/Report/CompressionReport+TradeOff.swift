// SPDX-License-Identifier: Apache-2.0

extension CompressionReport {
  /// All models that were tried, including the original and the chosen one.
  var tradeOffSection: ReportPage.Section {
    let tradeOff = TradeOff(
      gain: metric?.gain ?? .top1, points: tradeOffPoints, cell: mainSpeed?.cell)
    return ReportPage.Section(
      title: "Trade-off",
      explanation:
        "Higher is more accurate, further left is faster or smaller. A model below the line "
        + "costs more than another one of the same accuracy."
        + (metric == nil ? " Vertical bars are 95 % confidence intervals." : ""),
      content: tradeOff.html + tradeOff.table)
  }

  private var tradeOffPoints: [TradeOff.Point] {
    let speed = mainSpeed
    let interval = { (side: Side) in
      metric == nil
        ? WilsonInterval(top1: side.top1, images: images).map { $0.low * 100...$0.high * 100 } : nil
    }
    /// A score on the axis of the charts; without another metric, the accuracy.
    func gain(_ top1: Double?, _ score: Double?) -> Double? {
      guard let metric else { return top1.map { $0 * 100 } }
      return score.map(metric.plotted)
    }
    let taken = candidates?.first(where: \.chosen)
    let original = TradeOff.Point(
      label: "dense", gain: gain(before.top1, metric?.before),
      milliseconds: speed?.millisecondsBefore,
      bytes: before.fileBytes, role: .original, interval: interval(before), remark: "the original")
    let others = (candidates ?? []).filter { !$0.chosen }.map { candidate in
      TradeOff.Point(
        label: candidate.label, gain: gain(candidate.top1, candidate.score),
        milliseconds: candidate.milliseconds, bytes: candidate.bytes, role: .other,
        remark: candidate.reason
          ?? (gain(candidate.top1, candidate.score) == nil ? "not evaluated" : nil))
    }
    // Uses the figures of the table above, so that both agree.
    let chosen = TradeOff.Point(
      label: taken?.label ?? techniques.map(\.rawValue).joined(separator: ", "),
      gain: gain(after.top1, metric?.after), milliseconds: speed?.millisecondsAfter,
      bytes: after.fileBytes,
      role: .chosen, interval: interval(after), remark: "chosen")
    return [original] + others.filter { $0.gain != nil } + [chosen]
      + others.filter { $0.gain == nil }
  }
}
