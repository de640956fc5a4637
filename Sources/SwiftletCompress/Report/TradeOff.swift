// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

/// Charts and a table of what models achieve over their time and file size.
struct TradeOff {
  /// What is on the vertical axis: higher is better.
  struct Gain {
    /// The name of the quantity: `top-1`.
    let name: String
    let unit: String
    let decimals: Int
    /// Hard limits, if there are any.
    var bounds: ClosedRange<Double>?

    static var top1: Gain { Gain(name: "top-1", unit: "%", decimals: 2, bounds: 0...100) }
    static var decibels: Gain { Gain(name: "agreement", unit: "dB", decimals: 1) }
    static var equality: Gain {
      Gain(name: "equal answers", unit: "%", decimals: 2, bounds: 0...100)
    }

    func text(_ value: Double) -> String {
      value.isFinite
        ? "\(ReportNumber.fixed(value, decimals))\(ReportNumber.gap)\(unit)" : "–"
    }
  }

  /// One model.
  struct Point {
    /// The role of a model, which determines its marker.
    enum Role { case original, chosen, other }

    let label: String
    /// In the unit of the axis; `nil` if not measured, so that it is only in the table.
    let gain: Double?
    let milliseconds: Double?
    let bytes: Int?
    let role: Role
    /// The range that the gain is in, if it is uncertain.
    var interval: ClosedRange<Double>?
    var remark: String?
  }

  let gain: Gain
  /// Those with a gain come first.
  let points: [Point]
  /// What the milliseconds refer to: `batch 32, 2 threads`; `nil` if there are none.
  let cell: String?
  /// Names of the roles in the legend.
  var originalName = "dense"
  var otherName = "tried"
  /// The model that gains are measured against, if it has none itself: a line in the charts marks
  /// what it costs.
  var reference: Point?
  /// The number of the first point.
  var firstNumber = 1

  /// Both charts and the legend.
  var html: String {
    let largest = points.compactMap(\.bytes).max() ?? 0
    let (unit, divisor) = largest >= 1_000_000 ? ("MB", 1e6) : ("kB", 1e3)
    let pictures = [
      cell.flatMap { picture("time", "ms", "time, ms (\($0))", \.milliseconds) },
      picture("file size", unit, "file, \(unit)") { $0.bytes.map { Double($0) / divisor } },
    ].compactMap { $0 }
    guard !pictures.isEmpty else { return "" }
    return key + "\n<div class=\"figures\">\(pictures.joined(separator: "\n"))</div>"
  }

  /// The number of a point in the charts and tables.
  private func number(_ index: Int) -> String { "\(firstNumber + index)" }

  /// All models with their figures.
  var table: String {
    let models =
      (reference.map { [("", $0)] } ?? [])
      + points.enumerated().map { ($1.gain == nil ? "–" : number($0), $1) }
    let rows = models.map { number, point in
      ReportPart.row(
        [
          .init(number), .init(point.label, small: point.remark, style: "left name"),
          .init(point.gain.map(gain.text) ?? "–"),
          .init(point.milliseconds.map { ReportNumber.significant($0) } ?? "–"),
          .init(point.bytes.map { ReportNumber.bytes($0) } ?? "–"),
        ], style: point.role == .chosen ? "chosen" : nil)
    }
    return ReportPart.table(
      [
        .init("№"), .init("model", style: "left"), .init(gain.name), .init("ms"), .init("file"),
      ], rows, isWide: true)
  }

  private func picture(
    _ name: String, _ unit: String, _ axis: String, _ cost: (Point) -> Double?
  ) -> String? {
    let limit = reference.flatMap(cost).flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
    let shown = points.indices.compactMap { index -> (index: Int, cost: Double, gain: Double)? in
      guard let gain = points[index].gain, let cost = cost(points[index]), cost > 0, cost.isFinite
      else {
        return nil
      }
      return (index, cost, gain)
    }
    guard shown.count + (limit == nil ? 0 : 1) > 1, let first = shown.first else { return nil }
    let costs = shown.map(\.cost) + (limit.map { [$0] } ?? [])
    let (least, most) = (costs.min() ?? first.cost, costs.max() ?? first.cost)
    let front = ParetoFront.indices(shown.map { ($0.cost, $0.gain) })
    var lines = [steps(front.map { (shown[$0].cost, shown[$0].gain) }, to: most)]
    if let limit {
      // Makes room for the mark.
      lines.append(LineChart.Line("", [limit], [first.gain]))
    }
    var panel = LineChart.Panel(
      title: "\(gain.name) over \(name)", xScale: most > 3 * least ? .logarithmic : .linear,
      lines: lines)
    (panel.xLabel, panel.yLabel) = (axis, "\(gain.name), \(gain.unit)")
    panel.yBounds = gain.bounds
    if let limit { panel.cut = (limit, originalName) }
    panel.markers = shown.map { index, cost, value in
      let point = points[index]
      return LineChart.Marker(
        x: cost, y: value, form: point.role.form, colour: point.role.colour,
        label: number(index),
        remark: "\(point.label): \(gain.text(value)), \(ReportNumber.significant(cost)) \(unit)",
        range: point.role == .other ? nil : point.interval)
    }
    return ReportPart.figure(panel.caption, LineChart.inline(panel))
  }

  /// The best gain at each cost: constant until the next better point.
  private func steps(
    _ front: [(cost: Double, gain: Double)], to end: Double
  ) -> LineChart.Line {
    var (x, y) = ([Double](), [Double]())
    for (index, point) in front.enumerated() {
      if index > 0 {
        x.append(point.cost)
        y.append(front[index - 1].gain)
      }
      x.append(point.cost)
      y.append(point.gain)
    }
    // Extends the line to the right edge.
    if let last = front.last {
      x.append(end)
      y.append(last.gain)
    }
    return LineChart.Line("", x, y)
  }

  private var key: String {
    var entries: [(Point.Role, String)] = []
    if points.contains(where: { $0.role == .original }) {
      entries.append((.original, originalName))
    }
    if points.contains(where: { $0.role == .chosen }) { entries.append((.chosen, "chosen")) }
    if points.contains(where: { $0.role == .other }) { entries.append((.other, otherName)) }
    let items = entries.map { role, name in
      "<li><svg viewBox=\"0 0 14 14\">\(role.sign)</svg>\(Markup.escaped(name))</li>"
    }
    return """
      <ul class="key">\(items.joined())<li><svg viewBox="0 0 14 14">\
      <path d="M0 10h7v-6h7" fill="none" class="s0" stroke-width="2"/></svg>\
      best at that cost</li></ul>
      """
  }
}

extension TradeOff.Point.Role {
  var form: LineChart.Marker.Form {
    switch self {
    case .original: .square
    case .chosen: .diamond
    case .other: .circle
    }
  }

  var colour: Int {
    switch self {
    case .original: 6
    case .chosen: 1
    case .other: 5
    }
  }

  /// The marker in the legend, as SVG.
  var sign: String {
    switch self {
    case .original: "<rect x=\"2\" y=\"2\" width=\"10\" height=\"10\" class=\"f6\"/>"
    case .chosen: "<path d=\"M7 0l7 7l-7 7l-7 -7z\" class=\"f1\"/>"
    case .other: "<circle cx=\"7\" cy=\"7\" r=\"5\" class=\"f5\"/>"
    }
  }
}
