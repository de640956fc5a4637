// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

extension CompressionReport {
  /// How much each direction of a layer carries, and which ones were kept.
  var spectrumSection: ReportPage.Section? {
    let figures = layers.compactMap { layer in
      layer.spectrum.flatMap { spectrum in figure(layer, spectrum) }
    }
    guard !figures.isEmpty else { return nil }
    return ReportPage.Section(
      title: "Spectra",
      explanation: "The share of a layer's energy that each direction carries, strongest first. "
        + "Directions left of the cut are kept. A steep curve can be cut early.",
      content: "<div class=\"figures small\">\(figures.joined(separator: "\n"))</div>")
  }

  /// More points than a screen has pixels are of no use.
  private static let pointLimit = 256

  private func figure(_ layer: LayerReport, _ spectrum: [Double]) -> String? {
    let step = (spectrum.count + Self.pointLimit - 1) / Self.pointLimit
    // Below a millionth, rounding is what is drawn.
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
