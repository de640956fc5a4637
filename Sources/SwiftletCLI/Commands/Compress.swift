// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Swiftlet

/// The settings of all techniques, of which `--help` only lists the names.
enum AllSettings: SettingScope {
  static var techniques: [Technique] { Technique.allCases }
  static var isListed: Bool { false }
  static func has(_ setting: SettingDescription) -> Bool { true }
}

/// `swiftlet compress`.
struct Compress: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model smaller and faster, and measure what that costs.",
    discussion: """
        swiftlet compress seed.onnx --technique eigen --max-drop 0.5 \\
          --data fashion-mnist -o small.onnx
        swiftlet compress seed.onnx --preset fast --data fashion-mnist -o small.onnx

      TECHNIQUES
      \(SettingsText.summaries)

      SETTINGS OF TECHNIQUES (explained by swiftlet help techniques)
      \(SettingsText.options)

      Repeat a command to resume an interrupted run. 'swiftlet verify' checks \
      OUTPUT.manifest.json. More help: swiftlet help techniques, goals or data.
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "Techniques to apply, in order, separated by commas.", valueName: "names"),
    completion: .list(Technique.allCases.map(\.rawValue)))
  var technique: String?

  @Option(
    help: ArgumentHelp("YAML file with the steps to apply.", valueName: "file"), completion: .file()
  )
  var recipe: String?

  @Option(
    help: ArgumentHelp(
      "Ready-made recipe; see 'swiftlet help techniques'.",
      valueName: "name"))
  var preset: Preset?

  @OptionGroup var data: DataOptions<AnyData>

  @OptionGroup var judging: JudgingOptions

  @OptionGroup var preprocess: PreprocessOptions

  @OptionGroup var samples: SampleOptions

  @OptionGroup var open: ExtentOptions<AnyData>

  @OptionGroup var settings: SettingOptions<AllSettings>

  @Option(
    help: ArgumentHelp(
      "Largest drop of the metric: in percentage points, or relative as 1%; for quantize alone, "
        + "same as --mixed-drop.",
      valueName: "points"))
  var maxDrop: DropArgument?

  @OptionGroup var metric: MetricOptions

  @Option(
    help: ArgumentHelp(
      "Confidence level for --max-drop or --mixed-drop, such as 95% or 0.95.",
      valueName: "number"))
  var confidence: ConfidenceLevel?

  @Option(help: ArgumentHelp("Largest file size, in bytes or percent.", valueName: "size"))
  var targetSize: Bound?

  @Option(
    help: ArgumentHelp(
      "Most multiply-accumulate operations per image, as a number or percent.", valueName: "macs"))
  var targetMacs: Bound?

  @Option(
    help: ArgumentHelp(
      "Longest time per image at batch size 1, in milliseconds or percent.", valueName: "time"))
  var targetLatency: Bound?

  @Option(help: "Seed of all random choices.")
  var seed: UInt64 = 0

  @Option(name: .shortAndLong, help: "The ONNX file to write.")
  var output: String

  @Option(help: ArgumentHelp("Also write an HTML report.", valueName: "file"))
  var report: String?

  @OptionGroup var force: ForceOptions

  @Flag(help: "Do not measure speeds (not with steps that train).")
  var noTiming = false

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard [technique != nil, recipe != nil, preset != nil].count(where: { $0 }) == 1 else {
      throw ValidationError("give one of --technique, --recipe and --preset")
    }
    let techniques = try self.techniques()
    if techniques == nil,
      let name = settings.values.keys.sorted().first(where: {
        preset == nil || $0 != "calibrationImages"
      })
    {
      throw ValidationError(
        "with --recipe or --preset, settings cannot be options: \(SettingDescription.option(name))")
    }
    if data.data == nil {
      guard !data.damage.skipDamaged, preprocess.preprocess == nil else {
        throw ValidationError("--skip-damaged and --preprocess need --data")
      }
      if preset != nil { try data.require() }
      // Errors in the recipe are reported when it is made.
      if let techniques, (try? steps(techniques))?.steps.contains(where: \.needsData) ?? true {
        try data.require()
      }
    }
    // Drops of other metrics are in their own unit.
    if try metric.metric?.label.isFraction ?? true {
      try check("--max-drop", maxDrop?.absolute ?? 0, 0...100)
    }
    if let confidence {
      guard maxDrop != nil || settings.values["mixedDrop"] != nil, 0.5..<1 ~= confidence.value
      else {
        throw ValidationError(
          "--confidence is a number from 0.5 to below 1, or a percentage from 50% to below 100%, "
            + "for --max-drop or --mixed-drop")
      }
      guard maxDrop != nil || settings.values["mixedConfidence"] == nil else {
        throw ValidationError("give either --confidence or --mixed-confidence")
      }
    }
  }

  /// - Throws: A usage error naming an unknown technique.
  private func techniques() throws -> [Technique]? {
    try technique.map { list in
      try list.split(separator: ",", omittingEmptySubsequences: false).map { name in
        do { return try Technique(named: String(name)) } catch let error as SwiftletError {
          throw ValidationError("\(error.what); \(error.fix ?? "")")
        }
      }
    }
  }

  /// The path of the manifest.
  var manifest: String {
    "\(output.hasSuffix(".onnx") ? String(output.dropLast(5)) : output).manifest.json"
  }

  /// Checks that no input file would be overwritten.
  private func checkFiles(_ recipe: Recipe) throws {
    var written: [OutputFiles.File] = [(output, "--output"), (manifest, "the manifest")]
    if let report { written.append((report, "--report")) }
    var read: [OutputFiles.File] = [(model, "the model")]
    if let path = self.recipe { read.append((path, "--recipe")) }
    for step in recipe.steps {
      read += step.paths.map { setting, path in (path, setting.option) }
    }
    read += OutputFiles.files(of: data, judging, preprocess, fixed: samples.fixed)
    try OutputFiles(written: written, read: read).check(force: force.force)
  }

  func run() throws {
    let recipe = try makeRecipe()
    try checkFiles(recipe)
    var graph = try open.read(model)
    let damaged = data.damage.pictures(common.threads)
    guard data.data != nil else { return try compress(graph, recipe, nil, leavingOut: nil) }
    let trains = recipe.steps.contains(where: \.trains)
    let areSamples = noTiming || !samples.fixed.isEmpty || samples.judgedOutput.count > 1
    let countsClasses = try !areSamples && (metric.metric ?? .top1).countsClasses(of: [graph])
    guard try DataSpec(parsing: data.spec).hasLabels(), trains || countsClasses else {
      return try compress(
        graph, recipe, data.load(.train, leavingOut: damaged), leavingOut: damaged)
    }
    guard !areSamples else {
      throw SwiftletError(
        .unsupported,
        "steps that train take none of --no-timing, --fixed and several --judged-output",
        at: data.spec, fix: "leave them out, or choose steps that do not train")
    }
    let origin = try Manifest.File(model)
    let parts = try judging.parts(data, seed: seed, leavingOut: damaged)
    try locating(model) { try preprocess.prepare(&graph, model, for: parts.validation) }
    let latencies = LatencyCache(path: Cache.latencies)
    var context = CompressionContext(
      original: graph, training: parts.training, validation: parts.validation,
      threads: common.threads, seed: seed, latencies: latencies, outputs: samples.judgedOutput,
      progress: Console.progress)
    context.fileBytes = try ONNXFile.byteCount(model)
    context.metric = try metric.metric
    var use = Manifest.Use(data: data.spec)
    (use.judge, use.split, use.outputs) = (judging.judge, parts.split, samples.judgedOutput)
    use.damaged = damaged?.pictures.count
    use.metric = metric.name
    if preprocess.preprocess != nil {
      use.preprocessing = try Preprocessing.stored(in: graph, images: parts.validation)
    }
    if !graph.extents.isEmpty { use.extents = graph.extents }
    // As they are before the run: pictures in files may change.
    let images = (
      training: try Manifest.Images(parts.training, progress: Console.progress),
      judging: try Manifest.Images(parts.validation, progress: Console.progress)
    )
    let stages = try stages(
      context, use, data: "\(images.training.sha256) \(images.judging.sha256)")
    let compressor = Compressor(context, goals: goals, stages: stages)
    let result = try interruptible {
      try preset == nil
        ? compressor.run(compressor.mixing(recipe)) : compressor.run(preset: recipe)
    }
    try ONNXFile.write(result.graph, to: output)
    var report = CompressionReport(
      result, model: model, output: output, threads: common.threads.count,
      machine: Machine.summary, data: parts)
    report.damaged = use.damaged
    try Manifest(
      version: Version.number, threads: common.threads.count, seed: seed, model: origin, use: use,
      training: images.training, validation: images.judging, latencies: latencies,
      output: Manifest.File(output), report: report
    ).write(to: manifest)
    stages.remove()
    if let path = self.report { try AtomicFile.write(report.html, to: path) }
    if common.json { return try Console.json(report) }
    Console.endProgress()
    print(text(report))
  }

  /// The goals given as options.
  var goals: Goals {
    Goals(
      maxDrop: maxDrop?.value, confidence: maxDrop == nil ? nil : confidence?.value,
      size: targetSize?.value, macs: targetMacs?.value, latency: targetLatency?.value)
  }

  /// The store of finished steps; `data` is the digest of the data for training and calibration.
  func stages(
    _ context: CompressionContext, _ use: Manifest.Use, data: String
  ) throws -> StageStore {
    StageStore(
      folder: "\(output).stages",
      origin: try Manifest.origin(context, data: data, use: use, version: Version.number))
  }

  func interruptible<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try locating(model, body) } catch is CancellationError {
      throw SwiftletError(
        .interrupted, "interrupted", at: output,
        fix: "repeat the command to resume")
    }
  }

  private func makeRecipe() throws -> Recipe {
    if let recipe { return try Recipe(reading: recipe) }
    if let preset {
      return try preset.recipe(settings.values["calibrationImages"])
    }
    return try steps(techniques() ?? [])
  }

  private func steps(_ techniques: [Technique]) throws -> Recipe {
    try Recipe(
      techniques, sharing: settings.values, maxDrop: maxDrop?.value, confidence: confidence?.value)
  }

  private func text(_ report: CompressionReport) -> String {
    let (before, after) = (report.before, report.after)
    let comparison = table(
      [
        ["", "before", "after"]
      ] + (report.metric.map { [$0.cells] } ?? []) + [
        ["top-1", fixed(before.top1, 4), fixed(after.top1, 4)],
        ["file bytes", "\(before.fileBytes)", "\(after.fileBytes)"],
        ["parameters", "\(before.parameters)", "\(after.parameters)"],
        ["MACs", "\(before.macs)", "\(after.macs)"],
        ["images/s, batch 32", fixed(before.imagesPerSecond, 0), fixed(after.imagesPerSecond, 0)],
        ["ms, batch 1", fixed(before.latencyMs, 3), fixed(after.latencyMs, 3)],
      ])
    var meaning = report.metric.map { "\($0.metric.name): \($0.drops)\n" } ?? ""
    meaning +=
      (report.metric == nil ? "" : "top-1: ")
      + "\(report.drops), on \(report.images) images"
    if let others = report.agreement {
      meaning += "\n" + others.text("on \(others.samples) of these images, all outputs")
    }
    // Repeated here, as the first warning may have scrolled away.
    for warning in report.warnings ?? [] { meaning += "\nwarning: \(warning)" }
    let tried = report.candidates.map { candidates in
      ["tried: \(candidates.map { $0.line(report.metric) }.joined(separator: "; "))", ""]
    }
    let verdict = report.verdict.map { ["verdict: \($0.text)"] } ?? []
    return
      (report.layers.map(\.line) + ["", comparison, "", meaning, ""]
      + (preset == nil ? [] : tried ?? []) + ["wrote \(output)"] + verdict)
      .joined(separator: "\n")
  }
}

extension Candidate {
  /// `quantize, top-1 0.9012, chosen`.
  fileprivate func line(_ metric: MetricReport?) -> String {
    "\(label)" + (metric?.text(ofCandidate: score).map { ", \($0)" } ?? "")
      + (top1.map { ", top-1 \(fixed($0, 4))" } ?? "") + (chosen ? ", chosen" : "")
  }
}

extension LayerReport {
  /// A relative error in percent, capped.
  private static func percent(_ error: Double) -> String {
    error < RelativeError.limit
      ? "\(fixed(error * 100, 2)) %" : "over \(fixed(RelativeError.limit * 100, 0)) %"
  }

  /// `conv2: spatial, 32, rank 32 of 96, error 0.11 % (weights only 1.55 %)`.
  var line: String {
    var line = "\(layer): \(changed ? "" : "kept: ")\(summary)"
    if let damage, changed {
      line += ", error \(Self.percent(damage))"
      if let plainDamage { line += " (weights only \(Self.percent(plainDamage)))" }
    }
    if let precision { line += ", for \(precision.rawValue)" }
    return line
  }
}

/// A bound such as `200k`, `1.5M`, `0.12` or `50%`.
struct Bound: ExpressibleByArgument {
  let value: Goals.Bound

  init?(argument: String) {
    guard let value = Goals.Bound(parsing: argument) else { return nil }
    self.value = value
  }
}

/// A confidence level such as `95%` or `0.95`, as for settings.
struct ConfidenceLevel: ExpressibleByArgument {
  /// As a fraction.
  let value: Double

  init?(argument: String) {
    guard case .number(let value)? = SettingKind.fraction.parse(argument) else { return nil }
    self.value = value
  }
}

/// Files that are kept between runs and can be recreated.
enum Cache {
  /// The path of layer timings, in `$XDG_CACHE_HOME/swiftlet` or `~/.cache/swiftlet`; `nil` without
  /// a home directory.
  static var latencies: String? {
    let environment = ProcessInfo.processInfo.environment
    let base = environment["XDG_CACHE_HOME"] ?? environment["HOME"].map { "\($0)/.cache" }
    guard let base, base.hasPrefix("/") else { return nil }
    try? FileManager.default.createDirectory(
      atPath: "\(base)/swiftlet", withIntermediateDirectories: true)
    return "\(base)/swiftlet/latencies.json"
  }
}
