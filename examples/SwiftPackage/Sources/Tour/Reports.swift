// SPDX-License-Identifier: Apache-2.0

/// Comparisons and charts.
///
/// Models are evaluated on the same images, timed in turns, and shown on one page of HTML.
/// `LineChart` draws other measurements as SVG.

import Foundation
import Swiftlet

func compare(
  _ models: KeyValuePairs<String, Graph>, on images: ImageDataset, in folder: String
) throws {
  let report = try ComparisonReport.measure(
    models.map { (path: "\($0.key).onnx", graph: $0.value) }, on: images, seconds: 0.1)
  for model in report.models { print("\(model.name): top-1 \(model.top1), \(model.macs) MACs") }
  try report.html.write(toFile: "\(folder)/compared.html", atomically: true, encoding: .utf8)

  let accuracy = LineChart.Line(
    "top-1", report.models.map { Double($0.macs) }, report.models.map(\.top1))
  let chart = LineChart.svg(
    title: "Accuracy by operations",
    panels: [LineChart.Panel(title: "top-1 by MACs", lines: [accuracy])])
  try chart.write(toFile: "\(folder)/accuracy.svg", atomically: true, encoding: .utf8)
}
