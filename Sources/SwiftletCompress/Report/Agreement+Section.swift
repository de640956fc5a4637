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
    "NaN or infinite values first come from \(layer)."
  }

  var table: String {
    ReportPart.table(
      [
        .init("output"), .init("dB"), .init("same"), .init("cosine"), .init("NaN or ∞"),
      ], outputs.map(\.row), isWide: true)
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
      .init(
        broken > 0 ? ReportNumber.count(broken) : "–",
        small: broken > 0 ? "of \(ReportNumber.count(elements - undefined))" : nil,
        style: broken > 0 ? "bad" : nil),
    ])
  }

  /// What was left out.
  private var remark: String? {
    var parts: [String] = []
    if elements == 0 { parts.append(reshaped > 0 ? "other shapes" : "no elements") }
    if elements > 0, reshaped > 0 {
      parts.append("\(reshaped) run\(reshaped == 1 ? "" : "s") with other shapes left out")
    }
    if undefined > 0 {
      parts.append(
        undefined == elements
          ? "NaN or infinite in the original"
          : "\(ReportNumber.count(undefined)) of \(ReportNumber.count(elements)) elements NaN or "
            + "infinite in the original")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  private var ratio: ReportPart.Cell {
    guard isMeasured else { return .init("–") }
    guard decibels.isFinite else {
      return .init(
        "–",
        small: finiteDecibels.isFinite
          ? "\(ReportNumber.fixed(finiteDecibels, 1)) of the others" : nil, style: "bad")
    }
    return .init(
      ReportNumber.fixed(decibels, 1),
      style: decibels < CompressionVerdict.leastDecibels ? "bad" : nil)
  }

  private var same: ReportPart.Cell {
    if let equal { return .init(ReportNumber.percent(equal), small: "elements") }
    if let top1 { return .init(ReportNumber.percent(top1), small: "first choices") }
    return .init("–")
  }
}
