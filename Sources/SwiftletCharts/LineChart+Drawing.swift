// SPDX-License-Identifier: Apache-2.0

import Glibc

extension LineChart {
  /// The position of a panel's coordinate system, and the margins around it.
  struct Frame {
    var width, height: Double
    var left, right, top, bottom: Double

    func moved(to left: Double) -> Frame {
      var frame = self
      frame.left = left
      return frame
    }
  }

  /// The source of colours.
  enum Ink {
    /// Defined in the picture itself, for white paper.
    case paper
    /// Defined in the style sheet of the enclosing page.
    case page

    /// Okabe and Ito's colours, which are distinguishable for colour-blind readers, without yellow,
    /// which is faint on white.
    static let colours = [
      "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777",
    ]

    func stroke(_ colour: Int) -> String {
      let index = colour % Self.colours.count
      return self == .page ? "class=\"s\(index)\"" : "stroke=\"\(Self.colours[index])\""
    }

    func fill(_ colour: Int) -> String {
      let index = colour % Self.colours.count
      return self == .page ? "class=\"f\(index)\"" : "fill=\"\(Self.colours[index])\""
    }

    var axis: String { self == .page ? "class=\"axis\"" : "stroke=\"#888\"" }
    var grid: String { self == .page ? "class=\"grid\"" : "stroke=\"#ddd\"" }
    var text: String { self == .page ? "class=\"text\"" : "fill=\"#333\"" }
  }

  /// A panel's SVG.
  struct Drawing {
    private let panel: Panel
    private let frame: Frame
    private let ink: Ink
    private let x, y: Axis
    /// Lines with more points than this are drawn without dots.
    private static let dotLimit = 40
    private static let dashes = ["", "7 4", "2 3", "9 3 2 3"]

    init(_ panel: Panel, _ frame: Frame, _ ink: Ink) {
      self.panel = panel
      self.frame = frame
      self.ink = ink
      let points =
        panel.lines.flatMap { zip($0.x, $0.y).map(panel.place) }
        + panel.markers.flatMap { marker in
          [marker.y, marker.range?.lowerBound, marker.range?.upperBound].compactMap { $0 }
            .map { panel.place(marker.x, $0) }
        }
      x = Axis(points.filter(\.y.isFinite).map(\.x), panel.xScale)
      y = Axis(points.filter(\.x.isFinite).map(\.y), panel.yScale, within: panel.yBounds)
    }

    var svg: String {
      var svg = axes
      if let cut = panel.cut { svg += draw(cut) }
      for (index, line) in panel.lines.enumerated() { svg += draw(line, index) }
      for marker in panel.markers { svg += draw(marker) }
      return svg + labels
    }

    private var bottom: Double { frame.top + frame.height }

    /// The position in the picture; `nil` if a coordinate is not finite.
    private func spot(_ x: Double, _ y: Double) -> (x: Double, y: Double)? {
      let place = panel.place(x, y)
      guard place.x.isFinite, place.y.isFinite, abs(place.x) < 1e300, abs(place.y) < 1e300 else {
        return nil
      }
      return (across(place.x), down(place.y))
    }

    private func across(_ place: Double) -> Double {
      frame.left + (place - x.low) / (x.high - x.low) * frame.width
    }

    private func down(_ place: Double) -> Double {
      bottom - (place - y.low) / (y.high - y.low) * frame.height
    }

    private var axes: String {
      let (left, right) = (number(frame.left), number(frame.left + frame.width))
      var svg = ""
      for tick in y.ticks {
        let place = down(tick)
        svg += """
          <line x1="\(left)" y1="\(number(place))" x2="\(right)" y2="\(number(place))" \(ink.grid)/>
          <text x="\(number(frame.left - 5))" y="\(number(place + 4))" text-anchor="end" \
          font-size="10.5" \(ink.text)>\(y.label(tick))</text>

          """
      }
      for tick in x.ticks {
        let place = number(across(tick))
        svg += """
          <line x1="\(place)" y1="\(number(bottom))" x2="\(place)" y2="\(number(bottom + 4))" \
          \(ink.axis)/>
          <text x="\(place)" y="\(number(bottom + 15))" text-anchor="middle" font-size="10.5" \
          \(ink.text)>\(x.label(tick))</text>

          """
      }
      svg += """
        <path d="M\(left) \(number(frame.top))V\(number(bottom))H\(right)" fill="none" \(ink.axis)/>

        """
      if !panel.xLabel.isEmpty {
        svg += """
          <text x="\(number(frame.left + frame.width / 2))" y="\(number(bottom + 31))" \
          text-anchor="middle" font-size="11.5" \(ink.text)>\(Markup.escaped(panel.xLabel))</text>

          """
      }
      if !panel.yLabel.isEmpty {
        let (x, y) = (number(frame.left - 39), number(frame.top + frame.height / 2))
        svg += """
          <text x="\(x)" y="\(y)" transform="rotate(-90 \(x) \(y))" text-anchor="middle" \
          font-size="11.5" \(ink.text)>\(Markup.escaped(panel.yLabel))</text>

          """
      }
      return svg
    }

    private func draw(_ line: Line, _ index: Int) -> String {
      let points = zip(line.x, line.y).compactMap(spot)
      let path = points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
      let dash = Self.dashes[index % Self.dashes.count]
      let dashes = dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\""
      var svg = """
        <polyline points="\(path)" fill="none" \(ink.stroke(index)) stroke-width="2"\(dashes)/>

        """
      if points.count <= Self.dotLimit && !line.name.isEmpty {
        for point in points {
          svg += """
            <circle cx="\(number(point.x))" cy="\(number(point.y))" r="3" \(ink.fill(index))/>

            """
        }
      }
      guard !line.name.isEmpty else { return svg }
      let row = Double(index / LineChart.namesPerRow)
      let start = frame.left + 4 + 104 * Double(index % LineChart.namesPerRow)
      let height = bottom + 15 * row + (panel.xLabel.isEmpty ? 32 : 48)
      return svg + """
        <line x1="\(number(start))" y1="\(number(height - 4))" x2="\(number(start + 20))" \
        y2="\(number(height - 4))" \(ink.stroke(index)) stroke-width="2"\(dashes)/>
        <text x="\(number(start + 25))" y="\(number(height))" font-size="11" \(ink.text)>\
        \(Markup.escaped(line.name))</text>

        """
    }

    private func draw(_ marker: Marker) -> String {
      guard let (x, y) = spot(marker.x, marker.y) else { return "" }
      var svg = "<g>"
      if !marker.remark.isEmpty { svg += "<title>\(Markup.escaped(marker.remark))</title>" }
      if let range = marker.range, let low = spot(marker.x, range.lowerBound)?.y,
        let high = spot(marker.x, range.upperBound)?.y
      {
        svg += """
          <path d="M\(number(x)) \(number(low))V\(number(high))M\(number(x - 3)) \(number(low))h6\
          M\(number(x - 3)) \(number(high))h6" fill="none" \(ink.stroke(marker.colour))/>
          """
      }
      let fill = ink.fill(marker.colour)
      switch marker.form {
      case .circle:
        svg += "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"4.5\" \(fill)/>"
      case .square:
        svg += """
          <rect x="\(number(x - 5))" y="\(number(y - 5))" width="10" height="10" \(fill)/>
          """
      case .diamond:
        svg += """
          <path d="M\(number(x)) \(number(y - 7))l7 7l-7 7l-7 -7z" \(fill)/>
          """
      }
      return svg + "</g>\n"
    }

    private struct Box {
      let left, top, right, bottom: Double

      func overlap(_ other: Box) -> Double {
        max(0, min(right, other.right) - max(left, other.left))
          * max(0, min(bottom, other.bottom) - max(top, other.top))
      }
    }

    /// The markers' labels, each on the side of its point where it covers least.
    private var labels: String {
      let spots = panel.markers.map { spot($0.x, $0.y) }
      var taken = spots.compactMap { $0 }.map {
        Box(left: $0.x - 6, top: $0.y - 6, right: $0.x + 6, bottom: $0.y + 6)
      }
      let page = Box(
        left: frame.left + 2, top: frame.top - 8, right: frame.left + frame.width + frame.right,
        bottom: bottom - 1)
      let picture = Box(left: 0, top: 0, right: page.right, bottom: bottom + frame.bottom)
      var svg = ""
      for (marker, spot) in zip(panel.markers, spots) {
        guard let spot, !marker.label.isEmpty else { continue }
        let width = 6.6 * Double(marker.label.count)
        let sides = [
          (spot.x + 8, spot.y - 13), (spot.x - 8 - width, spot.y - 13), (spot.x + 8, spot.y + 2),
          (spot.x - 8 - width, spot.y + 2), (spot.x - width / 2, spot.y - 21),
          (spot.x - width / 2, spot.y + 9),
        ]
        let boxes = sides.map { Box(left: $0, top: $1, right: $0 + width, bottom: $1 + 12) }
        let costs = boxes.map { box in
          // Overlapping labels are better than labels beyond the picture.
          let beyond = 100 * (width * 12 - box.overlap(picture))
          return taken.reduce(beyond + width * 12 - box.overlap(page)) { $0 + $1.overlap(box) }
        }
        let best = boxes[costs.firstIndex(of: costs.min()!)!]
        taken.append(best)
        svg += """
          <text x="\(number(best.left))" y="\(number(best.bottom - 2))" font-size="11" \(ink.text)>\
          \(Markup.escaped(marker.label))</text>

          """
      }
      return svg
    }

    private func draw(_ cut: (x: Double, label: String)) -> String {
      let place = panel.xScale.place(cut.x)
      guard x.low...x.high ~= place else { return "" }
      let at = across(place)
      let isFarRight = at > frame.left + frame.width * 0.6
      return """
        <line x1="\(number(at))" y1="\(number(frame.top))" x2="\(number(at))" \
        y2="\(number(bottom))" \(ink.stroke(1)) stroke-width="1.5" stroke-dasharray="4 3"/>
        <text x="\(number(isFarRight ? at - 4 : at + 4))" y="\(number(frame.top + 10))" \
        \(isFarRight ? "text-anchor=\"end\" " : "")font-size="11" \(ink.text)>\
        \(Markup.escaped(cut.label))</text>

        """
    }

    /// A coordinate.
    private func number(_ value: Double) -> String {
      guard value.isFinite, abs(value) < 1e9 else { return "0" }
      return trimmed(value, 2)
    }
  }
}
