// SPDX-License-Identifier: Apache-2.0

import Swiftlet

extension Compare {
  /// Compares the answers of models with those of the first one, without labels.
  func compareAnswers(
    _ models: [(path: String, graph: Graph)], on data: ImageDataset,
    leavingOut damaged: DamagedPictures?
  ) throws {
    var comparison = try UnlabelledComparison.measure(
      models, on: data, fixed: samples.fixedInputs(), outputs: samples.judgedOutput,
      threads: common.threads, batches: batch.values, seconds: seconds, machine: Machine.summary,
      metric: metric.metric ?? (data.hasLabels ? .top1 : nil), progress: Console.progress)
    comparison.damaged = damaged?.pictures.count
    if let report { try AtomicFile.write(comparison.html, to: report) }
    if common.json { return try Console.json(comparison) }
    Console.endProgress()
    Console.print(text(comparison))
  }

  private func text(_ comparison: UnlabelledComparison) -> String {
    let speeds = SpeedColumns(comparison.models[0].speeds)
    let metric = MetricColumns(comparison.models.map(\.metric))
    let header =
      ["model"] + metric.header
      + ["worst answers", "same top-1", "cosine", "file bytes", "MACs"] + speeds.header
    let rows = comparison.models.map { model -> [String] in
      let agreement = model.agreement
      var row = [model.name] + metric.row(model.metric) + [agreement?.likeness ?? ""]
      row += [agreement?.top1, agreement?.cosine].map { $0.map { fixed($0, 4) } ?? "" }
      row += ["\(model.fileBytes)", model.macs.map(String.init) ?? ""]
      return row + speeds.row(model.speeds)
    }
    let details = comparison.models.compactMap { model in
      model.agreement.flatMap { agreement in
        agreement.outputs.count > 1 || agreement.brokenBy != nil
          ? "\(model.name), \(agreement.text("compared with the first model's"))" : nil
      }
    }
    return ([table([header] + rows)] + details).joined(separator: "\n") + "\n"
      + "answers compared with the first model's on \(comparison.samples) "
      + "sample\(comparison.samples == 1 ? "" : "s"); \(SpeedColumns.legend)"
  }

  func text(_ reports: [UnlabelledReport]) -> String {
    func speed(_ value: Double?) -> String { value.map { fixed($0, 1) } ?? "" }
    let metric = MetricColumns(reports.map(\.metric))
    let rows = reports.map { report -> [String] in
      let ratio = report.before.samplesPerSecond.flatMap { before in
        report.after.samplesPerSecond.map { fixed($0 / before, 2) }
      }
      var row = [report.techniques.map(\.rawValue).joined(separator: ",")]
      row += metric.row(report.metric)
      row += [
        report.agreement?.likeness ?? "",
        report.agreement?.top1.map { fixed($0, 4) } ?? "",
        report.agreement.map { "\($0.samples)\(report.isHeldBack ? "" : "*")" } ?? "",
        "\(report.after.fileBytes)", report.after.macs.map(String.init) ?? "",
        speed(report.before.samplesPerSecond), speed(report.after.samplesPerSecond), ratio ?? "",
      ]
      return row
    }
    let header =
      ["technique"] + metric.header + [
        "worst answers", "same top-1", "samples", "file bytes", "MACs",
        "samples/s dense", "compressed", "ratio",
      ]
    let first = reports[0].before
    let dense =
      ["(dense)"] + metric.original + [
        "", "", "", "\(first.fileBytes)", first.macs.map(String.init) ?? "", "", "", "",
      ]
    let star = reports.contains { !$0.isHeldBack && $0.agreement != nil }
    return table([header, dense] + rows) + "\n"
      + "answers compared with the original's, on \(reports[0].threads) thread(s)"
      + (star ? "; * on samples also used for calibration" : "")
  }
}
