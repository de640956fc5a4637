// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Swiftlet

/// `swiftlet verify`.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check a compressed model against its manifest.",
    discussion: """
      'swiftlet compress' writes a manifest next to the model. This command checks that the \
      original, the data and the compressed model have not changed since, and that the compressed \
      model has the recorded accuracy. --rerun repeats the compression with the recorded layer \
      timings, and checks that the result has the same bytes.

        swiftlet verify small.manifest.json
        swiftlet verify small.manifest.json --rerun
      """)

  @Argument(help: "The manifest.")
  var manifest: String

  @Flag(help: "Repeat the compression, and compare the bytes.")
  var rerun = false

  @Option(help: ArgumentHelp("Where to look for fashion-mnist first.", valueName: "dir"))
  var dataDir: String?

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var output: OutputOptions

  /// The result of one check.
  struct Check: Encodable {
    let name: String
    let passed: Bool
    let remark: String
  }

  func run() throws {
    let manifest = try Manifest(reading: manifest)
    var checks: [Check] = []
    func check(_ name: String, _ passed: Bool, _ remark: String) {
      checks.append(Check(name: name, passed: passed, remark: remark))
    }
    func sameFile(_ name: String, _ file: Manifest.File) throws {
      let found = try Manifest.File(file.path)
      check(name, found.sha256 == file.sha256, "\(file.path): \(found.bytes) bytes")
    }
    try sameFile("model", manifest.model)
    try sameFile("output", manifest.output)
    let threads = Threads(count: manifest.machine.threads)
    let recorded = manifest.use?.damaged
    let damaged = recorded.map { _ in
      DamagedPictures(threads: threads, progress: Console.progress)
    }
    func checkDamaged() {
      guard let recorded, let found = damaged?.pictures.count else { return }
      check("damaged pictures", found == recorded, "\(found) left out, recorded \(recorded)")
    }
    var context: CompressionContext
    if let report = manifest.report {
      let parts = try manifest.parts(dataDirectory: dataDir, leavingOut: damaged)
      checkDamaged()
      let (training, validation) = (parts.training, parts.validation)
      check(
        "training data",
        try manifest.training.map {
          try Manifest.Images(training, progress: Console.progress) == $0
        } ?? false,
        "\(training.name): \(training.count) images")
      check(
        "validation data",
        try manifest.validation.map {
          try Manifest.Images(validation, progress: Console.progress) == $0
        } ?? false,
        "\(validation.name): \(validation.count) images")
      let evaluation = try Evaluation.run(
        manifest.compressed(), on: validation, threads: threads,
        output: manifest.use?.outputs.first, progress: Console.progress)
      check(
        "accuracy", evaluation.top1 == report.after.top1,
        "top-1 \(evaluation.top1), recorded \(report.after.top1)")
      context = CompressionContext(
        original: try manifest.original(), training: training, validation: validation,
        threads: threads, seed: manifest.seed, latencies: manifest.measured,
        outputs: manifest.use?.outputs ?? [], progress: Console.progress)
      context.metric = try manifest.metric
    } else {
      let data = try manifest.unlabelled(dataDirectory: dataDir, leavingOut: damaged)
      checkDamaged()
      context = try manifest.unlabelledContext(data, threads)
      context.metric = try manifest.metric
      let source = try manifest.samples.map { _ in
        try context.calibration(for: context.original)
      }
      if let source, let data, let stated = manifest.samples {
        let found = try Manifest.Samples(data.all, source, progress: Console.progress)
        check("samples", found == stated, "\(source.count) samples")
        if let others = data.judging, let stated = manifest.judges {
          let judged = try CalibrationSource(
            others, for: context.original, fixed: manifest.fixedInputs(), threads: threads)
          let found = try Manifest.Samples(others, judged, progress: Console.progress)
          check("samples to judge on", found == stated, "\(judged.count) samples")
        }
        let agreement = try Compressor(context).agreement(
          of: manifest.compressed(), made: manifest.recipe)
        check(
          "answers", isSame(agreement, manifest.answers?.agreement),
          "\(agreement?.likeness ?? "none"), recorded "
            + (manifest.answers?.agreement?.likeness ?? "none"))
      }
    }
    if let recorded = manifest.report?.metric ?? manifest.answers?.metric {
      let found = try Compressor(context).judgement(
        of: manifest.compressed(), made: manifest.recipe)
      let (metric, score) = (recorded.metric, found.score)
      check(
        "metric", score == recorded.after || score.isNaN && recorded.after.isNaN,
        "\(metric.name) \(metric.text(ofScore: score)), recorded "
          + metric.text(ofScore: recorded.after))
    }
    if rerun { checks.append(try again(manifest, context)) }
    try show(checks)
  }

  private func isSame(_ found: Agreement?, _ recorded: Agreement?) -> Bool {
    guard let found, let recorded else { return found == recorded }
    return found.isSame(as: recorded)
  }

  private func again(_ manifest: Manifest, _ context: CompressionContext) throws -> Check {
    let here = Manifest.Machine(threads: context.threads.count)
    let compressor = Compressor(context)
    let graph: Graph
    if manifest.recipe.steps.isEmpty {
      // A preset found nothing better than the original.
      graph = context.original
    } else if manifest.report == nil {
      graph = try compressor.runUnlabelled(manifest.recipe, times: false).graph
    } else {
      graph = try compressor.run(manifest.recipe).graph
    }
    let same =
      try ONNXFile.encode(graph) == InputFile.read(manifest.output.path, limit: .max)
    let place =
      here == manifest.machine
      ? "" : "; the model was made on another machine, \(manifest.machine.cpu)"
    return Check(
      name: "made again", passed: same, remark: (same ? "the same bytes" : "other bytes") + place)
  }

  private func show(_ checks: [Check]) throws {
    if output.json {
      try Console.json(checks)
    } else {
      Console.endProgress()
      Console.print(
        checks.map { "\($0.passed ? "ok" : "FAILED")  \($0.name): \($0.remark)" }
          .joined(separator: "\n"))
    }
    guard let failed = checks.first(where: { !$0.passed }) else { return }
    throw SwiftletError(
      .badInput, "\(failed.name): \(failed.remark): differs from the manifest", at: manifest,
      fix: "compress again, or restore the files that have changed")
  }
}

extension Manifest {
  /// The metric that was chosen; `nil` if none was.
  fileprivate var metric: Metric? { get throws { try use?.metric.map { try Metric.named($0) } } }

  /// The recorded layer timings, valid for the machine where they were measured.
  fileprivate var measured: LatencyCache {
    LatencyCache(
      latencies,
      of: LatencyCache.machine(cpu: machine.cpu, isa: machine.isa, version: version))
  }

  /// The original model, as it was compressed.
  fileprivate func original() throws -> Graph {
    var graph = try graph(model)
    // An option took precedence over what the file has.
    use?.preprocessing?.store(in: &graph)
    return graph
  }

  /// The compressed model.
  fileprivate func compressed() throws -> Graph {
    var graph = try graph(output)
    if !Preprocessing.isStored(in: graph) { use?.preprocessing?.store(in: &graph) }
    return graph
  }

  /// Reads a model with the extents it was compressed with.
  private func graph(_ file: File) throws -> Graph {
    var graph = try ONNXFile.read(file.path)
    graph.extents = use?.extents ?? [:]
    return graph
  }

  /// The images, split as recorded.
  fileprivate func parts(
    dataDirectory: String?, leavingOut damaged: DamagedPictures?
  ) throws -> (training: ImageDataset, validation: ImageDataset) {
    let spec = try DataSpec(parsing: data)
    guard let use else {
      return (
        try spec.load(defaultPart: .train, dataDirectory: dataDirectory),
        try spec.load(defaultPart: .test, dataDirectory: dataDirectory)
      )
    }
    let parts = try DataParts(
      spec, split: use.split, judge: use.judge.map(DataSpec.init(parsing:)), seed: seed,
      dataDirectory: dataDirectory, leavingOut: damaged, progress: Console.progress)
    return (parts.training, parts.validation)
  }

  /// The samples of a compression without labels, as recorded; `nil` if there were none.
  fileprivate func unlabelled(
    dataDirectory: String?, leavingOut damaged: DamagedPictures?
  ) throws -> (all: ImageDataset, judging: ImageDataset?)? {
    guard samples != nil else { return nil }
    let spec = try DataSpec(parsing: data)
    return (
      try spec.load(defaultPart: .train, dataDirectory: dataDirectory, leavingOut: damaged),
      judges == nil
        ? nil
        : try spec.loadJudging(
          use?.judge.map(DataSpec.init(parsing:)), split: use?.split, dataDirectory: dataDirectory,
          leavingOut: damaged)
    )
  }

  /// The inputs that are the same for all samples, as recorded.
  fileprivate func fixedInputs() throws -> [String: FixedInput] {
    var options = SampleOptions()
    options.fixed = (use?.fixed ?? []).compactMap(FixedArgument.init(argument:))
    return try options.fixedInputs()
  }

  /// The context of a compression without labels, as recorded.
  fileprivate func unlabelledContext(
    _ data: (all: ImageDataset, judging: ImageDataset?)?, _ threads: Threads
  ) throws -> CompressionContext {
    guard let data else {
      return CompressionContext(
        original: try original(), threads: threads, seed: seed, progress: Console.progress)
    }
    return CompressionContext(
      original: try original(), samples: data.all, fixed: try fixedInputs(),
      judging: data.judging, share: use?.split, threads: threads, seed: seed,
      latencies: measured, outputs: use?.outputs ?? [], progress: Console.progress)
  }
}
