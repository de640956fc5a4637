import Glibc

/// Charts as SVG: lines and marked points in coordinate systems with labelled axes.
public enum LineChart {
  public struct Line: Sendable {
    let name: String
    let x: [Double]
    let y: [Double]

    /// - Precondition: As many x as y.
    public init(_ name: String, _ x: [Double], _ y: [Double]) {
      precondition(x.count == y.count, "\(x.count) positions for \(y.count) values")
      self.name = name
      self.x = x
      self.y = y
    }
  }

  /// A point that stands for something by itself.
  package struct Marker: Sendable {
    /// Told apart by form as well as by colour.
    package enum Form: Sendable {
      case circle, square, diamond
    }

    let x, y: Double
    let form: Form
    let colour: Int
    /// Written beside the point.
    let label: String
    /// What a pointer over the point shows.
    let remark: String
    /// Bounds of y, where it is uncertain.
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

  /// How an axis shows values.
  public enum Scale: Sendable {
    case linear
    /// By powers of ten; what is not positive is left out.
    case logarithmic

    func place(_ value: Double) -> Double { self == .linear ? value : log10(value) }
  }

  /// One coordinate system with what is in it.
  public struct Panel: Sendable {
    let title: String
    let lines: [Line]
    let xScale, yScale: Scale
    /// What the axes count, with units.
    package var xLabel = ""
    package var yLabel = ""
    package var markers: [Marker] = []
    /// What y cannot be below or above: percentages end at 100.
    package var yBounds: ClosedRange<Double>?
    /// A vertical line, and what it means.
    package var cut: (x: Double, label: String)?

    public init(
      title: String, xScale: Scale = .linear, yScale: Scale = .linear, lines: [Line]
    ) {
      self.title = title
      (self.xScale, self.yScale) = (xScale, yScale)
      self.lines = lines
    }

    /// The title, as it stands above the panel.
    package var caption: String { title.prefix(1).uppercased() + title.dropFirst() }

    func place(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
      (xScale.place(x), yScale.place(y))
    }
  }

  /// A picture of the panels side by side. Values that are not finite are left out.
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

  /// The panel as a part of a page, whose style sheet gives the colours: classes `s0`… for strokes,
  /// `f0`… for fills, `axis` and `grid` for the rest. Narrow, so that it can be read on a phone.
  package static func inline(_ panel: Panel) -> String {
    let frame = Frame(width: 296, height: 190, left: 50, right: 14, top: 12, bottom: 40)
    let height = frame.top + frame.height + frame.bottom + legendHeight([panel])
    let title = Markup.escaped(panel.title)
    return """
      <svg viewBox="0 0 360 \(number(height))" role="img" aria-label="\(title)">
      \(Drawing(panel, frame, .page).svg)</svg>

      """
  }

  /// Names of lines side by side under a panel.
  static let namesPerRow = 3

  private static func legendHeight(_ panels: [Panel]) -> Double {
    let names = panels.map { $0.lines.count { !$0.name.isEmpty } }.max() ?? 0
    return Double((names + namesPerRow - 1) / namesPerRow) * 15 + 5
  }
}
