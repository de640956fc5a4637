// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

extension CompressionPage {
  /// The spectrum of each factored layer, and its cut.
  var spectrumSection: ReportPage.Section? {
    let figures = layers.compactMap { layer in
      layer.spectrum.flatMap { spectrum in figure(layer, spectrum) }
    }
    guard !figures.isEmpty else { return nil }
    return ReportPage.Section(
      title: "Spectra",
      explanation:
        "The share of a layer's energy in each direction, strongest first. Directions left "
        + "of the cut are kept. The steeper the curve, the lower the rank that suffices.",
      content: "<div class=\"figures small\">\(figures.joined(separator: "\n"))</div>")
  }

  /// Maximum number of points drawn; more would exceed the screen's resolution.
  private static var pointLimit: Int { 256 }

  private func figure(_ layer: LayerReport, _ spectrum: [Double]) -> String? {
    let step = (spectrum.count + Self.pointLimit - 1) / Self.pointLimit
    // Below a millionth there is only rounding noise.
    let points = stride(from: 0, to: spectrum.count, by: max(1, step)).filter {
      spectrum[$0] > 1e-6 && spectrum[$0].isFinite
    }
    guard points.count > 1 else { return nil }
    var panel = LineChart.Panel(
      title: "spectrum of \(layer.layer)", yScale: .logarithmic,
      lines: [LineChart.Line("", points.map { Double($0 + 1) }, points.map { spectrum[$0] * 100 })])
    (panel.xLabel, panel.yLabel) = ("direction", "energy, %")
    var caption = layer.layer
    if let rank = layer.rank, layer.changed {
      let kept = layer.energy.map { ", \(ReportNumber.fixed($0 * 100, 1)) % kept" } ?? ""
      panel.cut = (Double(rank) + 0.5, "rank \(rank)\(kept)")
    } else {
      caption += " (kept)"
    }
    return ReportPart.figure(caption, LineChart.inline(panel))
  }
}
