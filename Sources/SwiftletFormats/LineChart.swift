import Glibc

/// Line charts as stand-alone SVG pictures.
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

  /// How an axis shows values.
  public enum Scale: Sendable {
    case linear
    /// By powers of ten; what is not positive is left out.
    case logarithmic

    func place(_ value: Double) -> Double { self == .linear ? value : log10(value) }

    func label(_ place: Double) -> String {
      self == .linear ? LineChart.number(place) : LineChart.significant(pow(10, place))
    }
  }

  /// One coordinate system with its lines.
  public struct Panel: Sendable {
    let title: String
    let lines: [Line]
    let xScale, yScale: Scale

    public init(
      title: String, xScale: Scale = .linear, yScale: Scale = .linear, lines: [Line]
    ) {
      self.title = title
      (self.xScale, self.yScale) = (xScale, yScale)
      self.lines = lines.map {
        Line($0.name, $0.x.map(xScale.place), $0.y.map(yScale.place))
      }
    }
  }

  private static let width = 360.0
  private static let height = 240.0
  private static let margin = 46.0
  /// Names of lines side by side under a panel.
  private static let perRow = 3
  private static let colours = ["#1f6fb4", "#d9662b", "#3a923a", "#8257a8", "#b03060", "#777777"]

  /// A picture of the panels side by side. Values that are not finite are left out.
  public static func svg(title: String, panels: [Panel]) -> String {
    let total = Double(panels.count) * (width + margin) + margin
    let legendRows = ((panels.map(\.lines.count).max() ?? 0) + perRow - 1) / perRow
    var svg = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(total)) \
      \(number(height + 2 * margin + 5 + 15 * Double(legendRows)))" font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="white"/>
      <text x="\(number(margin))" y="22" font-size="15">\(escaped(title))</text>

      """
    for (index, panel) in panels.enumerated() {
      svg += draw(panel, left: margin + Double(index) * (width + margin), top: margin + 14)
    }
    return svg + "</svg>\n"
  }

  private static func draw(_ panel: Panel, left: Double, top: Double) -> String {
    let xs = extent(panel.lines.flatMap(\.x))
    let ys = extent(panel.lines.flatMap(\.y))
    func place(_ x: Double, _ y: Double) -> (Double, Double) {
      (
        left + (x - xs.low) / (xs.high - xs.low) * width,
        top + height - (y - ys.low) / (ys.high - ys.low) * height
      )
    }
    var svg = """
      <text x="\(number(left))" y="\(number(top - 6))">\(escaped(panel.title))</text>
      <rect x="\(number(left))" y="\(number(top))" width="\(number(width))" \
      height="\(number(height))" fill="none" stroke="#888"/>

      """
    for step in 0...4 {
      let fraction = Double(step) / 4
      let (_, y) = place(xs.low, ys.low + fraction * (ys.high - ys.low))
      let (x, _) = place(xs.low + fraction * (xs.high - xs.low), ys.low)
      svg += """
        <text x="\(number(left - 4))" y="\(number(y + 4))" text-anchor="end" font-size="10">\
        \(panel.yScale.label(ys.low + fraction * (ys.high - ys.low)))</text>
        <text x="\(number(x))" y="\(number(top + height + 14))" text-anchor="middle" \
        font-size="10">\(panel.xScale.label(xs.low + fraction * (xs.high - xs.low)))</text>

        """
    }
    for (index, line) in panel.lines.enumerated() {
      let colour = colours[index % colours.count]
      let points = zip(line.x, line.y).filter { $0.isFinite && $1.isFinite }.map(place)
      let path = points.map { "\(number($0.0)),\(number($0.1))" }.joined(separator: " ")
      svg +=
        "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>\n"
      for (x, y) in points {
        svg += "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"3\" fill=\"\(colour)\"/>\n"
      }
      svg += """
        <text x="\(number(left + 8 + 120 * Double(index % perRow)))" \
        y="\(number(top + height + 32 + 15 * Double(index / perRow)))" \
        fill="\(colour)">\(escaped(line.name))</text>

        """
    }
    return svg
  }

  /// The range of the finite values, widened where it is empty.
  private static func extent(_ values: [Double]) -> (low: Double, high: Double) {
    let finite = values.filter(\.isFinite)
    guard let low = finite.min(), let high = finite.max() else { return (0, 1) }
    return low < high ? (low, high) : (low - 0.5, high + 0.5)
  }

  /// At most four decimals, none where they are zeros.
  private static func number(_ value: Double) -> String {
    let scaled = (value * 1e4).rounded() / 1e4
    return scaled == scaled.rounded() && abs(scaled) < 1e15 ? "\(Int(scaled))" : "\(scaled)"
  }

  /// Two significant digits, for axes that span powers of ten.
  private static func significant(_ value: Double) -> String {
    guard value > 0, value.isFinite else { return number(value) }
    let exponent = Int(log10(value).rounded(.down))
    let digits = (value / pow(10, Double(exponent)) * 10).rounded() / 10
    if -2...3 ~= exponent { return number(digits * pow(10, Double(exponent))) }
    return "\(number(digits))e\(exponent)"
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
