import ArgumentParser
import FoundationEssentials
import Swiftlet

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Put several models, or the reports of several compressions, side by side.",
    discussion: """
      With --data, judges ONNX models on the same images, image by image against the first one, and \
      times all of them in turns in one run, on one thread and on all:
        swiftlet compare seed.onnx svd.onnx int8.onnx --data fashion-mnist --report compared.html

      Without, reads what 'swiftlet compress --json' printed. Speeds of one row were measured in \
      turns, so their ratio can be trusted; those of different rows were not:
        swiftlet compare svd.json quantize.json

      --report writes a page with a picture of the trade-off; of a single JSON report, the page that \
      'compress --report' writes.
      """)

  @Argument(help: "ONNX models (with --data), or JSON reports.")
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "Images to judge the models on, as for evaluate; without :train the test part.",
      valueName: "spec"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where to look for fashion-mnist first; then $SWIFTLET_DATA, then Debian's package.",
      valueName: "dir"))
  var dataDir: String?

  @OptionGroup var open: ExtentOptions

  @Option(help: "Images per timed run, separated by commas.")
  var batch = NumberList([1, 32])

  @Option(help: "Seconds to spend on each model, batch and number of threads.")
  var seconds = 0.5

  @Option(help: ArgumentHelp("Also write a report for people, as HTML.", valueName: "file"))
  var report: String?

  @OptionGroup var limits: LimitOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try check("--seconds", seconds, 0.01...3600)
  }

  func run() throws {
    if let report {
      try OutputFiles(
        written: [(report, "--report")], read: files.map { ($0, "a file that is compared") }
      ).check()
    }
    if let data { return try compareModels(on: data) }
    let reports = try files.map(readReport)
    if let report {
      let html = reports.count == 1 ? reports[0].html : ComparisonReport(reports).html
      try AtomicFile.write(html, to: report)
    }
    if common.json { return try Console.json(reports) }
    Console.print(text(reports))
  }

  // MARK: Models

  private func compareModels(on spec: String) throws {
    let images = try DataSpec(parsing: spec).load(defaultPart: .test, dataDirectory: dataDir)
    let models = try files.map { path in (path: path, graph: try open.read(path)) }
    let comparison = try ComparisonReport.measure(
      models, on: images, threads: common.pool, batches: batch.values, seconds: seconds,
      machine: Machine.summary, progress: Console.progress)
    if let report { try AtomicFile.write(comparison.html, to: report) }
    if common.json { return try Console.json(comparison) }
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
      + "on \(comparison.images) images; milliseconds of a run by batch (b) and threads (t), all "
      + "models in turns; ratio of the last column"
  }

  // MARK: Reports

  private func readReport(_ path: String) throws -> CompressionReport {
    try locating(path) {
      let bytes = try InputFile.read(path, limit: 1 << 26)
      let decoder = JSONDecoder()
      decoder.nonConformingFloatDecodingStrategy = .convertFromString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      guard let report = try? decoder.decode(CompressionReport.self, from: Data(bytes)) else {
        throw SwiftletError(
          .badInput, "this is no report of a compression",
          mend: "give what 'swiftlet compress --json' printed, or --data to compare models")
      }
      return report
    }
  }

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
}

/// What models run on.
enum Machine {
  static var summary: String {
    "\(CPU.model), \(ISA.current.rawValue) kernels, \(Backend.current.name) \(Backend.core)"
  }
}
