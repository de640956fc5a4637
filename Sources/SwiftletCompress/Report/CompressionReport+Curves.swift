// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts
import SwiftletTraining

extension CompressionReport {
  /// Loss and accuracy curves of the steps that trained.
  var curveSection: ReportPage.Section? {
    let trained = (histories ?? []).filter { !$0.history.epochs.isEmpty }
    guard !trained.isEmpty else { return nil }
    let content = trained.map { stage in
      let figures = stage.history.panels.map {
        ReportPart.figure($0.caption, LineChart.inline($0))
      }
      return "<h3>\(Markup.escaped(stage.stage))</h3>\n"
        + "<div class=\"figures\">\(figures.joined(separator: "\n"))</div>"
    }
    return ReportPage.Section(
      title: "Training",
      explanation:
        "Loss and accuracy after each epoch. Training curves are measured during training, "
        + "on images that may be augmented.",
      content: content.joined(separator: "\n"))
  }
}
