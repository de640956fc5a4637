// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Swiftlet

/// `swiftlet compare`.
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare several models, or the reports of several compressions.",
    discussion: """
      With --data, evaluates ONNX models on the same images, compares them with the first one, and \
      times all of them in alternation, on one thread and on all:
        swiftlet compare seed.onnx small.onnx --data fashion-mnist --report page.html

      If the data have no labels, the models' answers are compared with those of the first one, \
      output by output:
        swiftlet compare encoder.onnx int8.onnx --data inputs:samples.npz

      Without --data, reads the output of 'swiftlet compress --json', with or without labels. The \
      ratio in a row is reliable, as both speeds were measured in alternation; those of different \
      rows were not:
        swiftlet compare svd.json quantize.json

      --report writes an HTML page with charts of the trade-off; for a single JSON report, the \
      page that 'compress --report' writes.
      """)

  @Argument(help: "ONNX models (with --data), or JSON reports.")
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "Data to run the models on: images, or arrays without labels; without :train, the test part. "
        + "See 'swiftlet help data'.",
      valueName: "spec"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where to look for fashion-mnist first, before $SWIFTLET_DATA and Debian's package.",
      valueName: "dir"))
  var dataDir: String?

  @OptionGroup var damage: DamageOptions

  @OptionGroup var open: ExtentOptions<AnyData>

  @OptionGroup var samples: SampleOptions

  @OptionGroup var metric: MetricOptions

  @OptionGroup var preprocess: PreprocessOptions

  @Option(help: "Batch sizes to time, separated by commas.")
  var batch = NumberList([1, 32])

  @Option(help: "Seconds to spend on each model, batch size and number of threads.")
  var seconds = 0.5

  @Option(help: ArgumentHelp("Also write an HTML report.", valueName: "file"))
  var report: String?

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try check("--seconds", seconds, 0.01...3600)
    try batch.check("--batch")
    let isUsed = !samples.judgedOutput.isEmpty || !samples.fixed.isEmpty
    let preparesData = preprocess.preprocess != nil || damage.skipDamaged
    if data == nil && (isUsed || preparesData || metric.name != nil) {
      throw ValidationError(
        "--judged-output, --fixed, --metric, --preprocess and --skip-damaged need --data")
    }
  }

  func run() throws {
    if let report {
      try OutputFiles(
        written: [(report, "--report")], read: files.map { ($0, "a file that is compared") }
      ).check()
    }
    if let data { return try compareModels(on: data) }
    let reports = try files.map(AnyReport.init(reading:))
    let labelled = reports.compactMap(\.labelled)
    let unlabelled = reports.compactMap(\.unlabelled)
    if let report { try AtomicFile.write(page(labelled, unlabelled), to: report) }
    if common.json { return try Console.json(reports) }
    let tables = [
      labelled.isEmpty ? nil : text(labelled), unlabelled.isEmpty ? nil : text(unlabelled),
    ].compactMap { $0 }
    Console.print(tables.joined(separator: "\n\n"))
  }

  /// For a single report, the page that 'compress --report' writes.
  private func page(
    _ labelled: [CompressionReport], _ unlabelled: [UnlabelledReport]
  ) -> String {
    guard !unlabelled.isEmpty else {
      return labelled.count == 1 ? labelled[0].html : ComparisonReport(labelled).html
    }
    guard !labelled.isEmpty else {
      return unlabelled.count == 1 ? unlabelled[0].html : UnlabelledComparison(unlabelled).html
    }
    return UnlabelledComparison(unlabelled).html(after: ComparisonReport(labelled))
  }

  // MARK: Models

  private func compareModels(on spec: String) throws {
    let damaged = damage.pictures(common.threads)
    let data = try DataSpec(parsing: spec).load(
      defaultPart: .test, dataDirectory: dataDir, leavingOut: damaged)
    data.sayClasses()
    var models = try files.map { (path: $0, graph: try open.read($0)) }
    let given = models
    for (index, path) in files.enumerated() {
      try locating(path) {
        try preprocess.prepare(
          &models[index].graph, path, for: data, like: given, overrides: false)
      }
    }
    guard data.hasLabels, samples.fixed.isEmpty, samples.judgedOutput.count < 2,
      try (metric.metric ?? .top1).countsClasses(of: models.map(\.graph))
    else { return try compareAnswers(models, on: data, leavingOut: damaged) }
    var comparison = try ComparisonReport.measure(
      models, on: data, threads: common.threads, batches: batch.values, seconds: seconds,
      machine: Machine.summary, output: samples.judgedOutput.first, metric: metric.metric,
      progress: Console.progress)
    comparison.damaged = damaged?.pictures.count
    for model in comparison.models {
      if let warning = model.warning {
        Console.warn("\(model.name): \(warning)\(PreprocessOptions.advice)")
      }
    }
    if let report { try AtomicFile.write(comparison.html, to: report) }
    if common.json { return try Console.json(comparison) }
    Console.endProgress()
    Console.print(text(comparison))
  }

  private func text(_ comparison: ComparisonReport) -> String {
    let speeds = SpeedColumns(comparison.models[0].speeds)
    let metric = MetricColumns(comparison.models.map(\.metric))
    let header =
      ["model"] + metric.header
      + ["top-1", "points", "p", "same", "file bytes", "MACs"] + speeds.header
    let rows = comparison.models.map { model -> [String] in
      var row: [String] = [model.name]
      row += metric.row(model.metric)
      row += [
        fixed(model.top1, 4), model.paired.map { fixed(-$0.drop, 2) } ?? "",
        model.paired.map { fixed($0.pValue, 3) } ?? "", model.agreement.map { fixed($0, 4) } ?? "",
        "\(model.fileBytes)", "\(model.macs)",
      ]
      return row + speeds.row(model.speeds)
    }
    return table([header] + rows) + "\n"
      + "on \(comparison.images) images; \(SpeedColumns.legend)"
  }

  // MARK: Reports

  private func text(_ reports: [CompressionReport]) -> String {
    let metric = MetricColumns(reports.map(\.metric))
    let header =
      ["technique"] + metric.header + [
        "top-1", "file bytes", "MACs", "images/s dense", "compressed", "ratio",
        "ms dense", "compressed",
      ]
    let rows = reports.map { report -> [String] in
      var row = [report.techniques.map(\.rawValue).joined(separator: ",")]
      row += metric.row(report.metric)
      row += [
        fixed(report.after.top1, 4), "\(report.after.fileBytes)", "\(report.after.macs)",
        fixed(report.before.imagesPerSecond, 0), fixed(report.after.imagesPerSecond, 0),
        fixed(report.after.imagesPerSecond / report.before.imagesPerSecond, 2),
        fixed(report.before.latencyMs, 3), fixed(report.after.latencyMs, 3),
      ]
      return row
    }
    let first = reports[0].before
    let dense =
      ["(dense)"] + metric.original + [
        fixed(first.top1, 4), "\(first.fileBytes)", "\(first.macs)", "", "", "", "", "",
      ]
    return table([header, dense] + rows) + "\n"
      + "images/s at batch 32, ms at batch 1, on \(reports[0].threads) thread(s)"
  }
}

/// The output of 'swiftlet compress --json', with or without labels.
private enum AnyReport: Encodable {
  case labelled(CompressionReport)
  case unlabelled(UnlabelledReport)

  var labelled: CompressionReport? { if case .labelled(let report) = self { report } else { nil } }
  var unlabelled: UnlabelledReport? {
    if case .unlabelled(let report) = self { report } else { nil }
  }

  init(reading path: String) throws {
    self = try locating(path) {
      let data = Data(try InputFile.read(path, limit: 1 << 26))
      let decoder = JSONDecoder()
      decoder.nonConformingFloatDecodingStrategy = .convertFromString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      if let report = try? decoder.decode(CompressionReport.self, from: data) {
        return .labelled(report)
      }
      if let report = try? decoder.decode(UnlabelledReport.self, from: data) {
        return .unlabelled(report)
      }
      throw SwiftletError(
        .badInput, "the file is not a compression report",
        fix: "give the output of 'swiftlet compress --json', or --data to compare models")
    }
  }

  func encode(to encoder: any Encoder) throws {
    switch self {
    case .labelled(let report): try report.encode(to: encoder)
    case .unlabelled(let report): try report.encode(to: encoder)
    }
  }
}

/// The machine that models run on.
enum Machine {
  static var summary: String {
    "\(CPU.model), \(ISA.current.rawValue) kernels, \(Backend.current.name) \(Backend.core)"
  }
}
