// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

/// Charts of accuracy over time and file size.
struct TradeOff {
  /// One model in the charts.
  struct Point {
    /// The role of a model, which determines its marker.
    enum Role { case original, chosen, other }

    let label: String
    let top1: Double
    let milliseconds: Double?
    let bytes: Int
    let role: Role
    var interval: WilsonInterval?
    var remark: String?
  }

  let points: [Point]
  /// What the milliseconds refer to: `batch 32, 2 threads`.
  let cell: String
  /// Names of the roles in the legend.
  var originalName = "dense"
  var otherName = "tried"

  /// Both charts and the legend.
  var html: String {
    let largest = points.map(\.bytes).max() ?? 0
    let (unit, divisor) = largest >= 1_000_000 ? ("MB", 1e6) : ("kB", 1e3)
    let pictures = [
      picture("time", "ms", "time, ms (\(cell))", \.milliseconds),
      picture("file size", unit, "file, \(unit)") { Double($0.bytes) / divisor },
    ].compactMap { $0 }
    return key + "\n<div class=\"figures\">\(pictures.joined(separator: "\n"))</div>"
  }

  /// The number of a point in the charts and tables.
  func number(_ index: Int) -> String { "\(index + 1)" }

  private func picture(
    _ name: String, _ unit: String, _ axis: String, _ cost: (Point) -> Double?
  ) -> String? {
    let shown = points.indices.filter { (cost(points[$0]) ?? 0) > 0 }
    guard shown.count > 1 else { return nil }
    let costs = shown.map { cost(points[$0])! }
    let front = ParetoFront.indices(zip(shown, costs).map { ($1, points[$0].top1) })
    var panel = LineChart.Panel(
      title: "top-1 over \(name)", xScale: costs.max()! > 3 * costs.min()! ? .logarithmic : .linear,
      lines: [steps(front.map { (costs[$0], points[shown[$0]].top1 * 100) }, to: costs.max()!)])
    (panel.xLabel, panel.yLabel) = (axis, "top-1, %")
    panel.yBounds = 0...100
    panel.markers = zip(shown, costs).map { index, cost in
      let point = points[index]
      return LineChart.Marker(
        x: cost, y: point.top1 * 100, form: point.role.form, colour: point.role.colour,
        label: number(index),
        remark: "\(point.label): \(ReportNumber.percent(point.top1)), "
          + "\(ReportNumber.significant(cost)) \(unit)",
        range: point.role == .other
          ? nil : point.interval.map { $0.low * 100...$0.high * 100 })
    }
    return ReportPart.figure("Top-1 over \(name)", LineChart.inline(panel))
  }

  /// The best accuracy at each cost: constant until the next better point.
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
    var entries: [(Point.Role, String)] = [(.original, originalName)]
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
