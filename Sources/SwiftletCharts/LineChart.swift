// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Charts as SVG: lines and marked points in coordinate systems with labelled axes.
public enum LineChart {
  /// Points that are joined in their order.
  public struct Line: Sendable {
    let name: String
    let x: [Double]
    let y: [Double]

    /// - Precondition: The same number of x and y.
    public init(_ name: String, _ x: [Double], _ y: [Double]) {
      precondition(x.count == y.count, "\(x.count) positions for \(y.count) values")
      self.name = name
      self.x = x
      self.y = y
    }
  }

  /// A single marked point.
  package struct Marker: Sendable {
    /// Distinguished by shape as well as by colour.
    package enum Form: Sendable {
      case circle, square, diamond
    }

    let x, y: Double
    let form: Form
    let colour: Int
    /// Text next to the point.
    let label: String
    /// Text shown when hovering over the point.
    let remark: String
    /// The range of y, if it is uncertain.
    let range: ClosedRange<Double>?

    package init(
      x: Double, y: Double, form: Form, colour: Int, label: String = "", remark: String = "",
      range: ClosedRange<Double>? = nil
    ) {
      self.x = x
      self.y = y
      self.form = form
      self.colour = colour
      self.label = label
      self.remark = remark
      self.range = range
    }
  }

  /// The scale of an axis.
  public enum Scale: Sendable {
    case linear
    /// Logarithmic; nonpositive values are omitted.
    case logarithmic

    func place(_ value: Double) -> Double { self == .linear ? value : log10(value) }
  }

  /// One coordinate system with its contents.
  public struct Panel: Sendable {
    let title: String
    let lines: [Line]
    let xScale, yScale: Scale
    /// The quantities on the axes, with units.
    package var xLabel = ""
    package var yLabel = ""
    package var markers: [Marker] = []
    /// Hard limits of y: percentages end at 100.
    package var yBounds: ClosedRange<Double>?
    /// A vertical line, and its label.
    package var cut: (x: Double, label: String)?

    /// A coordinate system that is as large as its lines need.
    public init(
      title: String, xScale: Scale = .linear, yScale: Scale = .linear, lines: [Line]
    ) {
      self.title = title
      (self.xScale, self.yScale) = (xScale, yScale)
      self.lines = lines
    }

    /// The title in the form shown above the panel.
    package var caption: String { title.prefix(1).uppercased() + title.dropFirst() }

    func place(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
      (xScale.place(x), yScale.place(y))
    }
  }

  /// A picture of the panels side by side. Non-finite values are omitted.
  public static func svg(title: String, panels: [Panel]) -> String {
    let frame = Frame(width: 360, height: 240, left: 46, right: 0, top: 60, bottom: 46)
    let total = Double(panels.count) * (frame.width + frame.left) + frame.left
    let height = frame.top + frame.height + frame.bottom + legendHeight(panels)
    var svg = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(total)) \
      \(number(height))" font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="white"/>
      <text x="\(number(frame.left))" y="22" font-size="15">\(Markup.escaped(title))</text>

      """
    for (index, panel) in panels.enumerated() {
      let left = frame.left + Double(index) * (frame.width + frame.left)
      svg += """
        <text x="\(number(left))" y="\(number(frame.top - 6))">\(Markup.escaped(panel.title))</text>

        """
      svg += Drawing(panel, frame.moved(to: left), .paper).svg
    }
    return svg + "</svg>\n"
  }

  /// The panel as a part of a page whose style sheet defines the colours: classes `s0`… for
  /// strokes, `f0`… for fills, `axis` and `grid` for the rest. Narrow enough for phones.
  package static func inline(_ panel: Panel) -> String {
    let frame = Frame(width: 290, height: 190, left: 50, right: 20, top: 12, bottom: 40)
    let height = frame.top + frame.height + frame.bottom + legendHeight([panel])
    let title = Markup.escaped(panel.title)
    return """
      <svg viewBox="0 0 360 \(number(height))" role="img" aria-label="\(title)">
      \(Drawing(panel, frame, .page).svg)</svg>

      """
  }

  /// The number of line names per row under a panel.
  static let namesPerRow = 3

  private static func legendHeight(_ panels: [Panel]) -> Double {
    let names = panels.map { $0.lines.count { !$0.name.isEmpty } }.max() ?? 0
    return Double((names + namesPerRow - 1) / namesPerRow) * 15 + 5
  }
}
