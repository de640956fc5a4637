// SPDX-License-Identifier: Apache-2.0

extension Agreement {
  /// How each output agrees with the original's.
  var section: ReportPage.Section {
    ReportPage.Section(
      title: "Answers",
      explanation: Self.explanation + (brokenBy.map { " \(Self.broken(by: $0))" } ?? ""),
      content: table)
  }

  static var explanation: String {
    "The outputs of both models for the same samples, the worst output first. The signal-to-noise "
      + "ratio (dB) compares their numbers: 20 dB is an error of a tenth of the values, 40 dB of a "
      + "hundredth. “Same” is the share of samples with the same first choice, for scores of "
      + "classes, and the share of equal elements for integers. The cosine is that of the angle "
      + "between both models' vectors, as a mean over the samples."
  }

  static func broken(by layer: String) -> String {
    "Numbers that are not finite first come from \(layer)."
  }

  var table: String {
    ReportPart.table(
      [.init("output"), .init("dB"), .init("same"), .init("cosine")], outputs.map(\.row),
      isWide: true)
  }

  /// What is on the axis of charts: decibels, or for integer answers the equal ones.
  var gain: TradeOff.Gain { equal == nil ? .decibels : .equality }

  /// The value on that axis for a ratio in dB, which encodes the fraction of equal elements for
  /// integer answers.
  func value(_ decibels: Double) -> Double {
    equal == nil ? decibels : Self.equality(decibels)
  }

  /// The percentage of equal elements that ``decibels`` encode for integer answers.
  package static func equality(_ decibels: Double) -> Double {
    100 * (1 - SignalToNoise.noiseToSignal(decibels))
  }

  /// The worst output: `35.9 dB`, `93.33 % equal`, `not finite`.
  var likeness: String {
    guard decibels.isFinite else { return "not finite" }
    return gain.text(value(decibels)) + (equal == nil ? "" : " equal")
  }
}

extension Agreement.Output {
  fileprivate var row: String {
    ReportPart.row([
      .init(name, small: remark, style: "name"), ratio, same,
      .init(cosine.map { ReportNumber.fixed($0, 4) } ?? "–"),
    ])
  }

  /// What is not finite, and what was left out. Reports that were read may have any numbers.
  private var remark: String? {
    func share(_ part: Int, _ whole: Int) -> String {
      "\(ReportNumber.count(part)) of \(ReportNumber.count(whole)) elements"
    }
    guard elements > 0 else { return reshaped > 0 ? "other shapes" : "no elements" }
    var parts: [String] = []
    if broken > 0 {
      let others =
        finiteDecibels.isFinite ? ", the others \(ReportNumber.fixed(finiteDecibels, 1)) dB" : ""
      parts.append("\(share(broken, elements &- undefined)) not finite\(others)")
    }
    if undefined == elements {
      parts.append("not finite in the original")
    } else if undefined > 0 {
      parts.append("without \(share(undefined, elements)) that are not finite in the original")
    }
    if reshaped > 0 {
      parts.append("without \(reshaped) run\(reshaped == 1 ? "" : "s") with other shapes")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  private var ratio: ReportPart.Cell {
    guard isMeasured else { return .init("–") }
    return .init(
      ReportNumber.fixed(decibels, 1),
      style: decibels < CompressionVerdict.leastDecibels ? "bad" : nil)
  }

  private var same: ReportPart.Cell {
    if let equal { return .init(ReportNumber.percent(equal), small: "elements") }
    if let top1 { return .init(ReportNumber.percent(top1), small: "choices") }
    return .init("–")
  }
}
