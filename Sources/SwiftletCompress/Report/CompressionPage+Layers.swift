// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

extension CompressionPage {
  /// What happened to each layer: cost, damage, and the alternatives.
  var layerSection: ReportPage.Section? {
    guard !layers.isEmpty else { return nil }
    let times = layers.flatMap { [$0.millisecondsBefore, $0.millisecondsAfter] }.compactMap { $0 }
    let damages = layers.flatMap { [$0.damage, $0.plainDamage] }.compactMap { $0 }
    var content = ""
    for (index, layer) in layers.enumerated() {
      if techniques.count > 1, index == 0 || layers[index - 1].technique != layer.technique {
        content += "<h3>\(Markup.escaped(layer.technique.rawValue))</h3>\n"
      }
      content += html(layer, longest: times.max() ?? 0, worst: damages.max() ?? 0)
    }
    var explanation = "Layers in the order of the network"
    explanation += techniques.count > 1 ? ", once for each technique." : "."
    if !times.isEmpty {
      explanation += " Times are for the layer alone, per batch on this machine."
    }
    if !damages.isEmpty {
      explanation +=
        " Damage is the squared error of the layer's outputs on calibration \(Self.samples), as a "
        + "share of their variance; “weights only” is the damage of the same ranks if chosen without "
        + "calibration \(Self.samples)."
    }
    return ReportPage.Section(title: "Layers", explanation: explanation, content: content)
  }

  private func html(_ layer: LayerReport, longest: Double, worst: Double) -> String {
    var remark = layer.summary
    if let energy = layer.energy { remark += ", \(ReportNumber.percent(energy)) of the energy" }
    if let precision = layer.precision { remark += "; will run in \(precision.rawValue)" }
    var bars: [String] = []
    func time(_ name: String, _ value: Double?, _ colour: Int) {
      guard let value else { return }
      bars.append(
        ReportPart.bar(
          name, value, of: longest, "\(ReportNumber.significant(value)) ms", colour: colour))
    }
    func damage(_ name: String, _ value: Double?, _ colour: Int) {
      guard let value else { return }
      bars.append(
        ReportPart.bar(name, value, of: worst, ReportNumber.percent(value), colour: colour))
    }
    time("before", layer.millisecondsBefore, 6)
    time("after", layer.millisecondsAfter, 0)
    damage("damage", layer.damage, 1)
    damage("weights only", layer.plainDamage, 4)
    return """
      <div class="layer"><div><b>\(Markup.escaped(layer.layer))</b>\
      <span class="tag">\(Markup.escaped(layer.technique.rawValue))</span>\
      <span class="tag">\(layer.changed ? "changed" : "kept")</span>
      <p class="soft">\(Markup.escaped(remark))</p>\(alternatives(layer))</div>
      <div>\(bars.joined(separator: "\n"))</div></div>

      """
  }

  private func alternatives(_ layer: LayerReport) -> String {
    guard !layer.rejected.isEmpty else { return "" }
    let rows = layer.rejected.map { alternative in
      ReportPart.row([
        .init(alternative.choice), .init(ReportNumber.significant(alternative.milliseconds)),
        .init(ReportNumber.percent(alternative.damage)),
        .init(alternative.reason, style: "left name"),
      ])
    }
    return """
      <details><summary>\(layer.rejected.count) rejected</summary>
      \(ReportPart.table(
        [.init("choice"), .init("ms"), .init("damage"), .init("reason", style: "left")], rows))
      </details>
      """
  }
}
