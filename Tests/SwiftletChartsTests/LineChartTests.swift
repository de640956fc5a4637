// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCharts
import Testing

struct LineChartTests {
  private func panel(
    _ x: [Double], _ y: [Double], _ scale: LineChart.Scale = .linear
  ) -> LineChart.Panel {
    LineChart.Panel(title: "t", xScale: scale, yScale: scale, lines: [.init("l", x, y)])
  }

  /// The numbers along the axes.
  private func labels(_ svg: String) -> [String] {
    svg.components(separatedBy: "font-size=\"10.5\"").dropFirst().compactMap {
      $0.components(separatedBy: ">").dropFirst().first?.components(separatedBy: "<").first
    }
  }

  @Test func axesAreLabelledWithRoundNumbers() {
    let linear = labels(LineChart.inline(panel([0, 1], [0.613, 0.897])))
    #expect(linear.prefix(4) == ["0.6", "0.7", "0.8", "0.9"])
    let powers = labels(LineChart.inline(panel([1e-4, 1e4], [1, 1e9], .logarithmic)))
    #expect(powers.contains("10k") && powers.contains("1M") && !powers.contains("0"))
    let narrow = labels(LineChart.inline(panel([0.7, 3.4], [0.7, 3.4], .logarithmic)))
    #expect(narrow == ["0.5", "1", "2", "5", "0.5", "1", "2", "5"])
    // Steps of 5 would begin at 5, right of the first point.
    let low = labels(LineChart.inline(panel([3.9, 12.3], [3.9, 12.3], .logarithmic)))
    #expect(low == ["2", "5", "10", "20", "2", "5", "10", "20"])
  }

  @Test func nothingLiesBetweenWholeNumbers() {
    let epochs = labels(LineChart.inline(panel([1, 2, 3], [0.5, 0.25, 0.125]))).suffix(3)
    #expect(epochs == ["1", "2", "3"])
  }

  @Test func boundsAreNotPassed() {
    var percentages = panel([1, 2], [95, 95])
    percentages.yBounds = 0...100
    #expect(!labels(LineChart.inline(percentages)).contains("105"))
    #expect(labels(LineChart.inline(panel([1, 2], [95, 95]))).contains("105"))
  }

  @Test(
    arguments: [
      [], [0], [1, 1], [.nan, 1, 2], [.infinity, -.infinity], [1e308, -1e308],
      [.leastNonzeroMagnitude, 0],
      [-1, 0, 1], [1e-300, 1e300], [1e15, 1e15 + 1],
    ] as [[Double]])
  func anyNumbersMakeAPicture(values: [Double]) {
    for scale in [LineChart.Scale.linear, .logarithmic] {
      var panel = panel(values, values, scale)
      panel.markers = values.map { .init(x: $0, y: $0, form: .diamond, colour: 1, label: "m") }
      panel.cut = (values.first ?? 0, "cut")
      for svg in [LineChart.inline(panel), LineChart.svg(title: "t", panels: [panel])] {
        for word in ["nan", "inf", "e+", "e-3"] {
          #expect(!svg.contains("\"\(word)") && !svg.contains(",\(word)"), "\(svg)")
        }
        #expect(svg.count < 40_000)
      }
    }
  }

  @Test func namesAreEscaped() {
    var hostile = LineChart.Panel(title: "<t>", lines: [.init("a\"b&", [1, 2], [1, 2])])
    hostile.xLabel = "</svg>"
    hostile.markers = [
      .init(x: 1, y: 1, form: .circle, colour: 0, label: "<l>", remark: "<script>")
    ]
    hostile.cut = (1.5, "'c'")
    let svg = LineChart.inline(hostile)
    #expect(svg.contains("a&quot;b&amp;") && svg.contains("&#39;c&#39;"))
    for markup in ["<t>", "<l>", "<script>"] { #expect(!svg.contains(markup)) }
    #expect(svg.components(separatedBy: "</svg>").count == 2)
  }

  @Test func controlCharactersAndTurnedTextAreReplaced() {
    #expect(Markup.escaped("a\u{0}b\u{202E}c\u{7F}") == "a\u{FFFD}b\u{FFFD}c\u{FFFD}")
    #expect(Markup.escaped(lines: "a\n<") == "a\n&lt;")
    #expect(Markup.escaped("Ärmel 袖 👕") == "Ärmel 袖 👕")
  }

  @Test func pagesGiveTheColoursOfTheirPictures() {
    let page = LineChart.inline(panel([1, 2], [1, 2]))
    #expect(page.contains("class=\"s0\"") && !page.contains("#0072b2") && !page.contains("white"))
    #expect(LineChart.svg(title: "t", panels: [panel([1, 2], [1, 2])]).contains("#0072b2"))
  }

  /// Two points at one place, and a third beside them: their labels do not cover each other.
  @Test func labelsMakeRoomForEachOther() {
    var crowded = LineChart.Panel(title: "t", lines: [])
    crowded.markers = [(1.0, 1.0), (1.0, 1.0), (1.02, 1.0), (2.0, 2.0)].enumerated().map {
      .init(x: $1.0, y: $1.1, form: .circle, colour: 0, label: "m\($0)")
    }
    let places = LineChart.inline(crowded).components(separatedBy: "\n").filter {
      $0.contains(">m")
    }.map { String($0.prefix { $0 != ">" }) }
    #expect(places.count == 4 && Set(places).count == 4)
  }

  /// However many points there are in a corner, their labels stay in the picture.
  @Test(arguments: [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
  func labelsStayInThePicture(corner: (x: Double, y: Double)) throws {
    var crowded = LineChart.Panel(title: "t", lines: [])
    let spots = [(0.0, 0.0), (1.0, 1.0)] + (0..<8).map { _ in corner }
    crowded.markers = spots.map {
      .init(x: $0.0, y: $0.1, form: .circle, colour: 0, label: "mmm")
    }
    let texts = LineChart.inline(crowded).components(separatedBy: "\n").filter {
      $0.contains(">mmm")
    }
    #expect(texts.count == 10)
    for text in texts {
      let numbers = text.components(separatedBy: "\"").compactMap(Double.init)
      let (x, y) = (numbers[0], numbers[1])
      #expect(x >= 0 && x + 3 * 6.6 <= 360 && y >= 10 && y <= 242, "\(text)")
    }
  }
}
