// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

/// The picture of what models cost in time and bytes, and how often they are right.
struct TradeOff {
  struct Point {
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
  /// What the milliseconds are those of: `batch 32, 2 threads`.
  let cell: String
  /// Names of roles in the key.
  var originalName = "dense"
  var otherName = "tried"

  /// Both pictures and what the signs in them mean.
  var html: String {
    let largest = points.map(\.bytes).max() ?? 0
    let (unit, divisor) = largest >= 1_000_000 ? ("MB", 1e6) : ("kB", 1e3)
    let pictures = [
      picture("time", "ms", "time, ms (\(cell))", \.milliseconds),
      picture("file size", unit, "file, \(unit)") { Double($0.bytes) / divisor },
    ].compactMap { $0 }
    return key + "\n<div class=\"figures\">\(pictures.joined(separator: "\n"))</div>"
  }

  /// The points' numbers in the pictures and in tables beside them.
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

  /// The best that is reached at each cost: level until the next better point.
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
    // Whatever costs more and is not above the last one is beaten by it.
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
      best so far at that cost</li></ul>
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

  /// The form in a key.
  var sign: String {
    switch self {
    case .original: "<rect x=\"2\" y=\"2\" width=\"10\" height=\"10\" class=\"f6\"/>"
    case .chosen: "<path d=\"M7 0l7 7l-7 7l-7 -7z\" class=\"f1\"/>"
    case .other: "<circle cx=\"7\" cy=\"7\" r=\"5\" class=\"f5\"/>"
    }
  }
}
