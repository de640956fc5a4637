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

      Without --data, reads the output of 'swiftlet compress --json'. The ratio in a row is \
      reliable, as both speeds were measured in alternation; those of different rows were not:
        swiftlet compare svd.json quantize.json

      --report writes an HTML page with charts of the trade-off; for a single JSON report, the \
      page that 'compress --report' writes.
      """)

  @Argument(help: "ONNX models (with --data), or JSON reports.")
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "Images to evaluate the models on; without :train, the test part. See 'swiftlet help data'.",
      valueName: "spec"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where to look for fashion-mnist first, before $SWIFTLET_DATA and Debian's package.",
      valueName: "dir"))
  var dataDir: String?

  @OptionGroup var damage: DamageOptions

  @OptionGroup var open: ExtentOptions<LabelledData>

  @Option(
    help: ArgumentHelp(
      "Output with the class scores, for all models. Default: the only one that fits the classes.",
      valueName: "output"))
  var judgedOutput: String?

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
    if data == nil
      && (judgedOutput != nil || preprocess.preprocess != nil || damage.skipDamaged)
    {
      throw ValidationError("--judged-output, --preprocess and --skip-damaged need --data")
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
    if let report {
      guard unlabelled.isEmpty else {
        throw SwiftletError(
          .unsupported, "there is no HTML report for compressions without labels", at: report,
          fix: "leave --report out")
      }
      let html = labelled.count == 1 ? labelled[0].html : ComparisonReport(labelled).html
      try AtomicFile.write(html, to: report)
    }
    if common.json { return try Console.json(reports) }
    let tables = [
      labelled.isEmpty ? nil : text(labelled), unlabelled.isEmpty ? nil : text(unlabelled),
    ].compactMap { $0 }
    Console.print(tables.joined(separator: "\n\n"))
  }

  // MARK: Models

  private func compareModels(on spec: String) throws {
    let damaged = damage.pictures(common.threads)
    let images = try DataSpec(parsing: spec).load(
      defaultPart: .test, dataDirectory: dataDir, leavingOut: damaged)
    images.sayClasses()
    let models = try files.map { path in
      var graph = try open.read(path)
      try locating(path) { try preprocess.prepare(&graph, for: images, overrides: false) }
      return (path: path, graph: graph)
    }
    let comparison = try ComparisonReport.measure(
      models, on: images, threads: common.threads, batches: batch.values, seconds: seconds,
      machine: Machine.summary, output: judgedOutput, progress: Console.progress)
    for model in comparison.models {
      if let warning = model.warning {
        Console.warn("\(model.name): \(warning)\(PreprocessOptions.advice)")
      }
    }
    if let report { try AtomicFile.write(comparison.html, to: report) }
    if common.json { return try Console.json(comparison, leftOut: damaged) }
    Console.endProgress()
    Console.print(text(comparison))
  }

  private func text(_ comparison: ComparisonReport) -> String {
    let cells = comparison.models[0].speeds
    let header =
      ["model", "top-1", "points", "p", "same", "file bytes", "MACs"]
      + cells.map { "b\($0.batch) t\($0.threads)" } + ["ratio"]
    let rows = comparison.models.map { model in
      [
        model.name, fixed(model.top1, 4), model.paired.map { fixed(-$0.drop, 2) } ?? "",
        model.paired.map { fixed($0.pValue, 3) } ?? "", model.agreement.map { fixed($0, 4) } ?? "",
        "\(model.fileBytes)", "\(model.macs)",
      ] + model.speeds.map { fixed($0.milliseconds, 3) }
        + [
          fixed(cells[cells.count - 1].milliseconds / model.speeds[cells.count - 1].milliseconds, 2)
        ]
    }
    return table([header] + rows) + "\n"
      + "on \(comparison.images) images; milliseconds per batch, by batch size (b) and threads "
      + "(t), measured in alternation; the ratio is that of the last column"
  }

  // MARK: Reports

  private func text(_ reports: [CompressionReport]) -> String {
    let header = [
      "technique", "top-1", "file bytes", "MACs", "images/s dense", "compressed", "ratio",
      "ms dense", "compressed",
    ]
    let rows = reports.map { report in
      [
        report.techniques.map(\.rawValue).joined(separator: ","),
        fixed(report.after.top1, 4), "\(report.after.fileBytes)", "\(report.after.macs)",
        fixed(report.before.imagesPerSecond, 0), fixed(report.after.imagesPerSecond, 0),
        fixed(report.after.imagesPerSecond / report.before.imagesPerSecond, 2),
        fixed(report.before.latencyMs, 3), fixed(report.after.latencyMs, 3),
      ]
    }
    let first = reports[0].before
    let dense = [
      "(dense)", fixed(first.top1, 4), "\(first.fileBytes)", "\(first.macs)", "", "", "", "", "",
    ]
    return table([header, dense] + rows) + "\n"
      + "images/s at batch 32, ms at batch 1, on \(reports[0].threads) thread(s)"
  }

  private func text(_ reports: [UnlabelledReport]) -> String {
    func speed(_ value: Double?) -> String { value.map { fixed($0, 1) } ?? "" }
    let rows = reports.map { report in
      let ratio = report.before.samplesPerSecond.flatMap { before in
        report.after.samplesPerSecond.map { fixed($0 / before, 2) }
      }
      return [
        report.techniques.map(\.rawValue).joined(separator: ","),
        report.agreement?.likeness ?? "",
        report.agreement?.top1.map { fixed($0, 4) } ?? "",
        report.agreement.map { "\($0.samples)\(report.isHeldBack ? "" : "*")" } ?? "",
        "\(report.after.fileBytes)", report.after.macs.map(String.init) ?? "",
        speed(report.before.samplesPerSecond), speed(report.after.samplesPerSecond), ratio ?? "",
      ]
    }
    let header = [
      "technique", "worst answers", "same top-1", "samples", "file bytes", "MACs",
      "samples/s dense", "compressed", "ratio",
    ]
    let first = reports[0].before
    let dense = [
      "(dense)", "", "", "", "\(first.fileBytes)", first.macs.map(String.init) ?? "", "", "", "",
    ]
    let star = reports.contains { !$0.isHeldBack && $0.agreement != nil }
    return table([header, dense] + rows) + "\n"
      + "answers compared with the original's, without labels, on \(reports[0].threads) thread(s)"
      + (star ? "; * on samples also used for calibration" : "")
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
