import ArgumentParser
import FoundationEssentials
import Swiftlet

struct Compress: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model smaller, and measure what that costs and gains.",
    discussion: """
      Techniques, applied in the order given:
        svd       fully connected layers by truncated SVD
        lowrank   convolutions by SVD over channels
        eigen     both, along the main directions of the layers' responses
        prune     fewer channels, and what reads them refit: all groups cut to --width, or with
                  --ratio those by which most time is saved for what it damages
        quantize  8-bit weights and activations
        distill   a narrower student learns from the model; after other techniques, it recovers
                  what they lost

      Layers are calibrated and students trained on the training part of the data; accuracy is \
      measured on the test part, on --judge, or with --split on a part that is held back. Data that \
      name :test are divided, 0.8 to 0.2, and that is said. Bounds are absolute (200k, 1.5M) or \
      relative (50%).

        swiftlet compress seed.onnx --technique lowrank,distill --data fashion-mnist -o small.onnx
        swiftlet compress seed.onnx --technique distill --width 0.25 --epochs 10 --hints 1 \
          --labels 1000 --data fashion-mnist -o student.onnx
        swiftlet compress seed.onnx --technique eigen --max-drop 0.5 --data fashion-mnist -o small.onnx
        swiftlet compress seed.onnx --technique prune --ratio 0.5 --data fashion-mnist -o small.onnx
        swiftlet compress seed.onnx --technique lowrank --methods prune,channel,spatial,tucker,cp \
          --ratio 0.3 --data fashion-mnist -o small.onnx
        swiftlet compress seed.onnx --technique quantize --data fashion-mnist -o int8.onnx
        swiftlet compress seed.onnx --technique quantize --bits 4 --weight-only --rounding gptq \
          --data fashion-mnist -o int4.onnx

      A model that is no classifier of images, or for which there are no labels, can be compressed \
      with inputs alone, arrays named after the model's inputs, by all that does not train; its \
      answers are then compared with the original's, output by output, on samples that are held back \
      (a quarter at least, of 2 samples one; --split and --judge inputs:OTHERS.npz change that):
        swiftlet compress model.onnx --technique quantize --data inputs:samples.npz -o int8.onnx

      Inputs that are the same for all samples are given by --fixed. Weights alone need no data:
        swiftlet compress speech.onnx --technique quantize --data inputs:sound.npz \
          --fixed rate=16000 --judged-output words -o int8.onnx
        swiftlet compress encoder.onnx --technique quantize --dynamic -o int8.onnx

      Start with the defaults. If too much is lost, 'swiftlet sensitivity' names the layers and what \
      mends them.

      Each finished step is kept in OUTPUT.stages until all are done: the same command again goes on \
      where it was interrupted. OUTPUT.manifest.json says how the model was made; 'swiftlet verify' \
      checks it, and 'swiftlet plan' tells in seconds what to expect.

      A recipe holds the same in YAML:
        steps:
          - technique: lowrank
            ratio: 0.5
          - technique: quantize
            calibrationImages: 512
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @Option(help: "Techniques, separated by commas: svd, lowrank, eigen, prune, quantize, distill.")
  var technique: TechniqueList?

  @Option(help: ArgumentHelp("YAML file with the steps to take.", valueName: "file"))
  var recipe: String?

  @Option(
    help: ArgumentHelp(
      "A recipe that is known to work: fast (low rank and int8, no training), balanced (half of the channels, distillation, int8) or smallest.",
      valueName: "name"))
  var preset: Preset?

  @OptionGroup var data: DataOptions

  @OptionGroup var judging: JudgingOptions

  @OptionGroup var preprocess: PreprocessOptions

  @Option(
    help:
      "What factored layers may cost, as a fraction of now: together, or each of them, as --allocation says; default 0.5. Of prune: what all layers together may cost."
  )
  var ratio: Double?

  @Option(help: "Energy a factored layer keeps, 0 to 1, instead of --ratio.")
  var energy: Double?

  @OptionGroup var samples: SampleOptions

  @OptionGroup var open: ExtentOptions

  @Option(help: "Samples to calibrate eigen, prune and quantize with; default 512.")
  var calibrationSize: Int?

  @OptionGroup(title: "Options of svd, lowrank, eigen and prune") var decomposition:
    DecompositionOptions

  @OptionGroup(title: "Options of quantize") var quantization: QuantizationOptions

  @OptionGroup(title: "Options of prune and distill") var distillation: DistillationOptions

  @Option(
    help:
      "Points of top-1 accuracy that may be lost, in percent. Of quantize alone, as --mixed."
  )
  var maxDrop: Double?

  @Option(
    help: ArgumentHelp(
      "How sure that must be, such as 95%: judged by a paired test on the evaluation images. Default: as counted on them; of quantize alone and of --mixed, 95%.",
      valueName: "percent"))
  var confidence: Bound?

  @Option(help: "Largest file, in bytes or percent.")
  var targetSize: Bound?

  @Option(help: "Most multiply-accumulate operations per image, or percent.")
  var targetMacs: Bound?

  @Option(help: "Longest time per image at batch 1, in milliseconds or percent.")
  var targetLatency: Bound?

  @Option(help: "Seed of everything random.")
  var seed: UInt64 = 0

  @Option(name: .shortAndLong, help: "The ONNX file to write.")
  var output: String

  @Option(help: "Also write a report for people, as HTML.")
  var report: String?

  @OptionGroup var force: ForceOptions

  @Flag(help: "Do not time the models; of models without labels.")
  var noTiming = false

  @OptionGroup var limits: LimitOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard [technique != nil, recipe != nil, preset != nil].count(where: { $0 }) == 1 else {
      throw ValidationError("give one of --technique, --recipe and --preset")
    }
    if technique == nil,
      let name = given.first(where: { preset == nil || $0 != "--calibration-size" })
    {
      throw ValidationError(
        "settings of techniques belong into the recipe, not beside it: \(name)")
    }
    if data.data == nil && preset != nil { try data.require() }
    if let technique, data.data == nil {
      guard technique.values == [.quantize], quantization.worksWithoutSamples else {
        try data.require()
        return
      }
    }
    if ratio != nil && energy != nil { throw ValidationError("give either --ratio or --energy") }
    if technique?.values == [.prune] && ratio != nil && distillation.width != nil {
      throw ValidationError("give prune either --ratio or --width")
    }
    try check("--max-drop", maxDrop ?? 0, 0...100)
    if let confidence {
      guard maxDrop != nil || quantization.mixed != nil,
        case .fraction(let share) = confidence.value, 0.5..<1 ~= share
      else {
        throw ValidationError(
          "--confidence is a percentage from 50% to below 100%, of --max-drop or --mixed")
      }
    }
  }

  /// The settings of techniques that were given.
  private var given: [String] {
    let own = [
      ("--ratio", ratio != nil), ("--energy", energy != nil),
      ("--calibration-size", calibrationSize != nil),
    ]
    return own.filter(\.1).map(\.0) + decomposition.given + quantization.given + distillation.given
  }

  private var share: Double? {
    if case .fraction(let value)? = confidence?.value { value } else { nil }
  }

  /// Where the manifest is written.
  var manifest: String {
    "\(output.hasSuffix(".onnx") ? String(output.dropLast(5)) : output).manifest.json"
  }

  func run() throws {
    let written: [OutputFiles.File] =
      [(output, "--output"), (manifest, "the manifest")] + (report.map { [($0, "--report")] } ?? [])
    let read: [OutputFiles.File] =
      [(model, "the model")] + (self.recipe.map { [($0, "--recipe")] } ?? [])
      + (distillation.student.map { [($0, "--student")] } ?? [])
      + OutputFiles.files(of: data, judging, samples)
    try OutputFiles(written: written, read: read).check(force: force.force)
    let recipe = try makeRecipe()
    var graph = try open.read(model)
    guard data.data != nil else { return try compress(graph, recipe, nil) }
    if let inputs = try data.unlabelledInputs() { return try compress(graph, recipe, inputs) }
    guard !noTiming, samples.fixed.isEmpty, samples.judgedOutput.count < 2 else {
      throw SwiftletError(
        .unsupported,
        "--no-timing, --fixed and several of --judged-output are for models without labels",
        at: data.spec, mend: "leave them out, or give --data inputs:FILE.npz")
    }
    let origin = try Manifest.File(model)
    let parts = try judging.parts(data, seed: seed)
    try locating(model) { try preprocess.prepare(&graph, for: parts.validation) }
    let latencies = LatencyCache(path: Cache.latencies)
    var context = CompressionContext(
      original: graph, training: parts.training, validation: parts.validation,
      threads: common.pool, seed: seed, latencies: latencies, outputs: samples.judgedOutput,
      progress: Console.progress)
    context.fileBytes = try ONNXFile.byteCount(model)
    var use = Manifest.Use(data: data.spec)
    (use.judge, use.split, use.outputs) = (judging.judge, parts.split, samples.judgedOutput)
    if preprocess.preprocess != nil {
      use.preprocessing = try Preprocessing.stored(in: graph, images: parts.validation)
    }
    if !graph.extents.isEmpty { use.extents = graph.extents }
    let images = "\(Digest.sha256(parts.training)) \(Digest.sha256(parts.validation))"
    let stages = try stages(context, use, data: images)
    let compressor = Compressor(context, goals: goals, stages: stages)
    let result = try interruptible {
      try preset == nil ? compressor.run(recipe) : compressor.run(preset: recipe)
    }
    try ONNXFile.write(result.graph, to: output)
    let report = CompressionReport(
      result, model: model, output: output, threads: common.pool.count,
      machine: Machine.summary, data: parts)
    try Manifest(
      version: Version.number, threads: common.pool.count, seed: seed, model: origin, use: use,
      training: parts.training, validation: parts.validation, latencies: latencies,
      output: Manifest.File(output), report: report
    ).write(to: manifest)
    stages.remove()
    if let path = self.report { try AtomicFile.write(report.html, to: path) }
    if common.json { return try Console.json(report) }
    Console.endProgress()
    print(text(report))
  }

  /// What is wanted of the model.
  var goals: Goals {
    Goals(
      maxDrop: maxDrop, confidence: maxDrop == nil ? nil : share, size: targetSize?.value,
      macs: targetMacs?.value, latency: targetLatency?.value)
  }

  /// Where finished steps are kept; `data` is the digest of what is trained and calibrated with.
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
        mend: "the same command goes on where it stopped")
    }
  }

  private func makeRecipe() throws -> Recipe {
    if let recipe { return try Recipe(yaml: recipe) }
    if let preset {
      var recipe = preset.recipe
      if let calibrationSize {
        for index in recipe.steps.indices {
          recipe.steps[index].calibrationImages = calibrationSize
        }
      }
      return recipe
    }
    let techniques = technique?.values ?? []
    try StepSetting.check(given, for: techniques, spelling: .options)
    let steps = techniques.map { technique in
      var step = CompressionStep(technique)
      step.ratio = ratio ?? step.ratio
      step.energy = energy
      step.calibrationImages = calibrationSize ?? step.calibrationImages
      distillation.apply(to: &step)
      step.decomposition = decomposition.settings
      // Methods are for the techniques beside it that choose: svd makes two factors of each matrix.
      if technique == .svd, !Set(techniques).isDisjoint(with: [.lowrank, .eigen]) {
        step.decomposition.methods = nil
      }
      step.allocatesChannels =
        technique == .prune && ratio != nil && distillation.width == nil
        && step.decomposition.allocation.spansLayers
      step.quantization = quantization.settings
      // A bound on the loss of int8 alone is what mixed precision is for.
      if techniques == [.quantize] && step.quantization.canMix {
        step.quantization.mixedDrop = step.quantization.mixedDrop ?? maxDrop
      }
      if step.quantization.mixedDrop != nil { step.quantization.mixedConfidence = share }
      return step
    }
    let recipe = Recipe(steps)
    do { try recipe.validate() } catch let error as SwiftletError {
      throw StepSetting.spelledAsOptions(error)
    }
    return recipe
  }

  private func text(_ report: CompressionReport) -> String {
    let (before, after) = (report.before, report.after)
    let comparison = table([
      ["", "before", "after"],
      ["top-1", fixed(before.top1, 4), fixed(after.top1, 4)],
      ["file bytes", "\(before.fileBytes)", "\(after.fileBytes)"],
      ["parameters", "\(before.parameters)", "\(after.parameters)"],
      ["MACs", "\(before.macs)", "\(after.macs)"],
      ["images/s, batch 32", fixed(before.imagesPerSecond, 0), fixed(after.imagesPerSecond, 0)],
      ["ms, batch 1", fixed(before.latencyMs, 3), fixed(after.latencyMs, 3)],
    ])
    var meaning = "\(report.drops), on \(report.images) images"
    if let others = report.agreement {
      meaning += "\n" + others.text("on \(others.samples) of these images, all outputs")
    }
    // Once more where they are read: what was said at first may have scrolled away.
    for warning in report.warnings ?? [] { meaning += "\nwarning: \(warning)" }
    let tried = report.candidates.map { ["tried: \($0.map(\.line).joined(separator: "; "))", ""] }
    let verdict = report.verdict.map { ["verdict: \($0.text)"] } ?? []
    return
      (report.layers.map(\.line) + ["", comparison, "", meaning, ""]
      + (preset == nil ? [] : tried ?? []) + ["wrote \(output)"] + verdict)
      .joined(separator: "\n")
  }
}

extension Candidate {
  /// `quantize, top-1 0.9012, taken`.
  fileprivate var line: String {
    "\(label)" + (top1.map { ", top-1 \(fixed($0, 4))" } ?? "") + (chosen ? ", taken" : "")
  }
}

extension LayerReport {
  /// A relative error, which is told up to a bound.
  private static func percent(_ error: Double) -> String {
    error < RelativeError.limit
      ? "\(fixed(error * 100, 2)) %" : "over \(fixed(RelativeError.limit * 100, 0)) %"
  }

  /// `conv2: spatial, 32, rank 32 of 96, error 0.11 % (by weights alone 1.55 %)`.
  var line: String {
    var line = "\(layer): \(changed ? "" : "kept: ")\(summary)"
    if let damage, changed {
      line += ", error \(Self.percent(damage))"
      if let plainDamage { line += " (by weights alone \(Self.percent(plainDamage)))" }
    }
    if let precision { line += ", for \(precision.rawValue)" }
    return line
  }
}

/// Techniques separated by commas, as in `--technique lowrank,distill`.
struct TechniqueList: ExpressibleByArgument {
  let values: [Technique]

  static var allValueStrings: [String] { Technique.allCases.map(\.rawValue) }

  init?(argument: String) {
    let names = argument.split(separator: ",", omittingEmptySubsequences: false)
    values = names.compactMap { Technique(rawValue: String($0)) }
    guard values.count == names.count else { return nil }
  }
}

/// A bound such as `200k`, `1.5M`, `0.12` or `50%`.
struct Bound: ExpressibleByArgument {
  let value: Goals.Bound

  init?(argument: String) {
    let scales: [Character: Double] = ["k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "%": 0.01]
    let scale = argument.last.flatMap { scales[$0] }
    let digits = scale == nil ? argument[...] : argument.dropLast()
    guard let number = Double(digits), number.isFinite, number > 0 else { return nil }
    value =
      argument.hasSuffix("%")
      ? .fraction(number * 0.01) : .absolute(number * (scale ?? 1))
  }
}

/// Files that are kept from run to run, and can be made again.
enum Cache {
  /// Of times; in `$XDG_CACHE_HOME/swiftlet` or `~/.cache/swiftlet`. `nil` without a home.
  static var latencies: String? {
    let environment = ProcessInfo.processInfo.environment
    let base = environment["XDG_CACHE_HOME"] ?? environment["HOME"].map { "\($0)/.cache" }
    guard let base, base.hasPrefix("/") else { return nil }
    try? FileManager.default.createDirectory(
      atPath: "\(base)/swiftlet", withIntermediateDirectories: true)
    return "\(base)/swiftlet/latencies.json"
  }
}
