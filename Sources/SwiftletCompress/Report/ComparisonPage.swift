// SPDX-License-Identifier: Apache-2.0

/// What the pages of comparisons with labels and without have in common.
protocol ComparisonPage {
  associatedtype Model: ComparedModel

  /// The models; the first one is the reference.
  var models: [Model] { get }
  /// Whether all models were timed in alternation.
  var isOneRun: Bool { get }
  /// The line of facts under the title.
  var facts: [String?] { get }
  var sections: [ReportPage.Section] { get }
}

/// What a model costs, in a comparison.
protocol ComparedModel {
  var name: String { get }
  /// Comparison by a metric; `nil` if none was chosen, and for the original of reports.
  var metric: MetricReport? { get }
  var fileBytes: Int { get }
  /// Multiply–accumulate operations per sample, if known.
  var operations: Int? { get }
  /// Speeds by threads and batch size.
  var speeds: [ComparisonReport.Speed] { get }
}

extension ComparisonPage {
  /// The comparison as a self-contained HTML page.
  var page: String {
    ReportPage(title: "\(models.count) models compared", facts: facts, sections: sections).html
  }

  /// The metric that scores are shown by; `nil` if there is none, or not one for all.
  private var metric: MetricReport? {
    // The original of reports has none of its own.
    MetricReport.shared(by: (isOneRun ? models[...] : models.dropFirst()).map(\.metric))
  }

  /// The heading of ``metricCells(_:)``; empty without a metric.
  var metricHeader: [ReportPart.Cell] {
    metric.map { [.init($0.metric.shortName, small: "\($0.metric.loss)\($0.metric.unit)")] } ?? []
  }

  /// The score of a model by the metric, and how much worse it is than that of the first model, or
  /// of its own original; empty without a metric.
  func metricCells(_ model: Model) -> [ReportPart.Cell] {
    guard let metric else { return [] }
    guard let own = model.metric else { return [.init(metric.metric.text(ofScore: metric.before))] }
    let drop = own.paired.drop
    return [
      .init(
        own.metric.text(ofScore: own.after),
        small: drop == 0 ? nil : own.metric.text(ofDrop: drop), style: drop > 0 ? "bad" : nil)
    ]
  }

  /// File size and operations of a model, with factors relative to the first one.
  func sizes(_ model: Model) -> [ReportPart.Cell] {
    [
      size(model.fileBytes, models[0].fileBytes, ReportNumber.bytes),
      model.operations.map { size($0, models[0].operations, ReportNumber.short) } ?? .init("–"),
    ]
  }

  private func size(_ value: Int, _ first: Int?, _ text: (Int) -> String) -> ReportPart.Cell {
    let factor = first.map { Double($0) / Double(value) }.flatMap { $0.isFinite ? $0 : nil }
    return .init(text(value), small: factor.map { "÷ \(ReportNumber.significant($0))" })
  }

  /// The cell that the trade-off is drawn for: the last one, the largest batch on all threads.
  var mainCell: String? { models[0].speeds.last?.cell }

  /// The time of a model in that cell.
  func mainTime(_ model: Model) -> Double? {
    models[0].speeds.last.flatMap { time(model, in: $0) }
  }

  private func time(_ model: Model, in cell: ComparisonReport.Speed) -> Double? {
    model.speeds.first { ($0.threads, $0.batch) == (cell.threads, cell.batch) }?.milliseconds
  }

  /// The times of all models in all cells; `nil` if none were measured.
  var speedSection: ReportPage.Section? {
    let first = models[0].speeds
    guard !first.isEmpty else { return nil }
    let rows = models.enumerated().map { index, model in
      ReportPart.row(
        [.init("\(index + 1)"), .init(model.name, style: "left name")]
          + first.map { cell in
            guard let time = time(model, in: cell) else { return .init("–") }
            let ratio = cell.milliseconds / time
            return .init(
              ReportNumber.significant(time), small: "\(ReportNumber.significant(ratio)) ×",
              style: ratio > 1.005 ? "good" : ratio < 0.995 ? "bad" : nil)
          })
    }
    return ReportPage.Section(
      title: "Median time per run, ms",
      explanation: isOneRun
        ? "All models were timed in alternation, so ratios are reliable. Factors are speeds "
          + "relative to the first model."
        : "Each model was timed in alternation with its dense original, but separately from the "
          + "other models: ignore small differences between rows. Factors are speeds relative to "
          + "the dense model of the first report.",
      content: ReportPart.table(
        [.init("№"), .init("model", style: "left")]
          + first.map { .init("batch \($0.batch)", small: $0.threadText) }, rows, isWide: true))
  }
}

extension ComparisonReport.Speed {
  fileprivate var threadText: String { "\(threads) thread\(threads == 1 ? "" : "s")" }
  fileprivate var cell: String { "batch \(batch), \(threadText)" }
}
