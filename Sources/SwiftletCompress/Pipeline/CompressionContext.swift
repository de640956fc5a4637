// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
import SwiftletFiles
public import SwiftletGraph
import SwiftletTraining

/// What compression passes need besides the graph: the original model, data, threads and the seed.
public struct CompressionContext: Sendable {
  /// The model before compression, with weights folded into constants (`Graph.foldingWeights()`);
  /// it is the teacher in distillation.
  public let original: Graph

  /// Threads to compute with.
  public let threads: Threads
  /// Seed of all random choices.
  public let seed: UInt64
  /// Layer timings measured on this machine.
  public let latencies: LatencyCache
  /// Called as work proceeds; throws to cancel.
  public let progress: Progress.Handler?
  /// Names of the outputs to judge models by; empty: all of them. With labels, the first one holds
  /// the scores; if empty, the only output that can.
  public let outputs: [String]
  /// Size of the original model's files in bytes; `nil`: the size of the ONNX file it would be
  /// written as.
  public var fileBytes: Int?
  /// The metric to judge models by; `nil`: top-1 accuracy with labels, else agreement with the
  /// original.
  public var metric: Metric?
  /// Judges models during a run of the compressor.
  var judge: Judge?
  /// Where a step that trains saves its progress, and resumes an interrupted run from.
  var checkpoint: CheckpointFile?
  private let data: Data
  /// Maximum number of calibration samples: the others are held back for judging.
  private var calibrationLimit = Int.max
  /// The samples to judge on without labels; `nil`: all.
  private var judged: (data: ImageDataset, range: Range<Int>)?

  /// The kind of data, with or without labels.
  private enum Data {
    case images(training: ImageDataset, validation: ImageDataset)
    case samples(Samples)
    case none
  }

  /// Samples without labels.
  private struct Samples {
    let data: ImageDataset
    let fixed: [String: FixedInput]
    /// Separate samples for judging; `nil`: a part of the data.
    let judging: ImageDataset?
    /// Fraction of the data to calibrate with; `nil`: ``SampleSplit`` decides.
    let share: Double?
  }

  /// A context with labels.
  ///
  /// - Parameters:
  ///   - original: The model to compress.
  ///   - training: Images to calibrate and train with.
  ///   - validation: Images to judge on.
  ///   - threads: Threads to compute with.
  ///   - seed: Seed of all random choices.
  ///   - latencies: Layer timings measured so far, which grow as layers are timed.
  ///   - outputs: Names of the outputs to judge by; empty: all of them.
  ///   - progress: Called as work proceeds; throws to cancel.
  public init(
    original: Graph, training: ImageDataset, validation: ImageDataset,
    threads: Threads = .available, seed: UInt64 = 0, latencies: LatencyCache = LatencyCache(),
    outputs: [String] = [], progress: Progress.Handler? = nil
  ) {
    self.init(
      original, .images(training: training, validation: validation), threads, seed, latencies,
      outputs, progress)
  }

  /// A context without labels, for everything that does not train.
  ///
  /// - Parameters:
  ///   - original: The model to compress.
  ///   - samples: For all inputs that are not fixed, as `InputFeed` takes them.
  ///   - fixed: Inputs that are the same in every run.
  ///   - judging: Samples to judge answers on; by default, a part of the samples is held back.
  ///   - share: Fraction of the samples to calibrate with; by default at least a quarter of them is
  ///     held back.
  ///   - threads: Threads to compute with.
  ///   - seed: Seed of all random choices.
  ///   - latencies: Layer timings measured so far, which grow as layers are timed.
  ///   - outputs: Names of the outputs to judge by; empty: all of them.
  ///   - progress: Called as work proceeds; throws to cancel.
  public init(
    original: Graph, samples: ImageDataset, fixed: [String: FixedInput] = [:],
    judging: ImageDataset? = nil, share: Double? = nil,
    threads: Threads = .available, seed: UInt64 = 0, latencies: LatencyCache = LatencyCache(),
    outputs: [String] = [], progress: Progress.Handler? = nil
  ) {
    self.init(
      original,
      .samples(Samples(data: samples, fixed: fixed, judging: judging, share: share)), threads,
      seed, latencies, outputs, progress)
  }

  /// A context without labels, with arrays by the names of the inputs.
  public init(
    original: Graph, samples: [String: AnyTensor], threads: Threads = .available, seed: UInt64 = 0,
    latencies: LatencyCache = LatencyCache(), progress: Progress.Handler? = nil
  ) {
    self.init(
      original: original, samples: ImageDataset(arrays: InputArrays(samples)), threads: threads,
      seed: seed, latencies: latencies, progress: progress)
  }

  /// A context without data, for steps that only change weights.
  public init(
    original: Graph, threads: Threads = .available, seed: UInt64 = 0,
    progress: Progress.Handler? = nil
  ) {
    self.init(original, .none, threads, seed, LatencyCache(), [], progress)
  }

  private init(
    _ original: Graph, _ data: Data, _ threads: Threads, _ seed: UInt64,
    _ latencies: LatencyCache, _ outputs: [String], _ progress: Progress.Handler?
  ) {
    (self.data, self.threads, self.seed) = (data, threads, seed)
    (self.latencies, self.outputs, self.progress) = (latencies, outputs, progress)
    // Symbolic extents take their values from the data. Data that do not fit are ignored here;
    // calibration refuses them.
    let source = try? Self.source(data, original, limit: 1, threads)
    // Techniques look for weights only among constants.
    var original = original.foldingWeights()
    original.extents.merge((try? source?.extents(of: original)) ?? [:]) { given, _ in given }
    self.original = original
  }

  /// Images to calibrate and train with.
  ///
  /// - Throws: `unsupported` without labels.
  public var training: ImageDataset {
    get throws { try images().training }
  }

  /// Images to judge on.
  ///
  /// - Throws: `unsupported` without labels.
  public var validation: ImageDataset {
    get throws { try images().validation }
  }

  private func images() throws -> (training: ImageDataset, validation: ImageDataset) {
    guard case .images(let training, let validation) = data else {
      throw SwiftletError(
        .unsupported, "this needs labelled images, but the data has no labels",
        fix: "give labelled images")
    }
    return (training, validation)
  }

  /// The name of the output with class scores; `nil` if the model has only one output.
  ///
  /// - Throws: `badInput` if no output, or more than one, can hold the scores; `unsupported`
  ///   without labels.
  var scores: String? {
    get throws {
      if let name = outputs.first { return name }
      return original.outputs.count > 1
        ? try Evaluation.scores(of: original, for: images().validation) : nil
    }
  }

  /// A judge of models by the metric, on the images or samples to judge on.
  ///
  /// - Parameter needsBound: See ``Judge/Options/needsBound``.
  /// - Throws: `badInput` without data; the errors of ``Judge``.
  func makeJudge(needsBound: Bool) throws -> Judge {
    let options = Judge.Options(
      threads: threads, needsBound: needsBound, seed: seed, progress: progress)
    switch data {
    case .images(_, let validation):
      let metric = metric ?? .top1
      var outputs = outputs
      if case .accuracy = metric.kind { outputs = try scores.map { [$0] } ?? [] }
      return try Judge(
        metric, on: validation, original: original, like: original, outputs: outputs,
        options: options)
    case .samples(let samples):
      return try Judge(
        metric, on: judged?.data ?? samples.data, fixed: samples.fixed,
        judging: judged?.range, original: original, like: original, outputs: outputs,
        options: options)
    case .none:
      throw SwiftletError(
        .badInput, "there are no samples to judge the model on",
        fix: "give samples with --data inputs:FILE.npz")
    }
  }

  /// Whether there are labels, which training needs.
  var hasLabels: Bool { if case .images = data { true } else { false } }

  /// Whether there are samples to calibrate with.
  var hasSamples: Bool { if case .none = data { false } else { true } }

  /// Checks that the data suffice for a recipe, before any step runs.
  ///
  /// - Throws: `unsupported` if a step needs labels and there are none; `badInput` if the given
  ///   extents differ from those of the arrays.
  func check(_ recipe: Recipe) throws {
    if hasSamples {
      let own = try calibration(for: original, limit: 1).extents(of: original)
      if let (name, extent) = original.extents.first(where: { own[$0.key] ?? $0.value != $0.value })
      {
        throw SwiftletError(
          .badInput, "\(name)=\(extent) was given, but the arrays have \(name)=\(own[name] ?? 0)",
          fix: "leave the extent out")
      }
    }
    guard let step = recipe.steps.first(where: { $0.settings.labelUse != nil }) else { return }
    guard case .images = data else {
      throw SwiftletError(
        .unsupported, "\(step.settings.labelUse ?? ""), but the data has no labels",
        at: "technique \(step.technique.rawValue)",
        fix: "give labelled images, or choose steps that need none")
    }
    let training = try images().training
    try Evaluation.checkLabels(of: training, for: original, output: scores)
    for step in recipe.steps { try step.settings.check(trainingImages: training.count) }
  }

  /// The first samples, as inputs of a model.
  ///
  /// - Parameters:
  ///   - graph: The model.
  ///   - limit: Maximum number of samples.
  ///
  /// - Throws: `badInput` if there are no samples, or they do not fit the model.
  public func calibration(for graph: Graph, limit: Int = .max) throws -> CalibrationSource {
    var source = try Self.source(data, graph, limit: min(limit, calibrationLimit), threads)
    source.outputs = outputs
    return source
  }

  /// A compressed graph with the preprocessing that it was made and judged with: later users need
  /// not guess.
  ///
  /// - Throws: The errors of `InputFeed`.
  func specified(_ graph: Graph) throws -> Graph {
    guard !Preprocessing.isStored(in: graph), let used = try feed()?.preprocessing else {
      return graph
    }
    var graph = graph
    used.store(in: &graph)
    return graph
  }

  /// The data as the original takes them; `nil` without data.
  private func feed() throws -> InputFeed? {
    switch data {
    case .images(_, let validation): try InputFeed(validation, for: original)
    case .samples(let samples): try InputFeed(samples.data, for: original, fixed: samples.fixed)
    case .none: nil
    }
  }

  private static func source(
    _ data: Data, _ graph: Graph, limit: Int, _ threads: Threads
  ) throws -> CalibrationSource {
    switch data {
    case .images(let training, _):
      return try CalibrationSource(training, for: graph, limit: limit, threads: threads)
    case .samples(let samples):
      return try CalibrationSource(
        samples.data, for: graph, fixed: samples.fixed, limit: limit, threads: threads)
    case .none:
      throw SwiftletError(
        .badInput, "this step needs samples",
        fix: "give samples with --data inputs:FILE.npz")
    }
  }

  /// A trainer for a graph, which resumes from the checkpoint if there is one.
  ///
  /// - Throws: The errors of `Trainer`.
  func trainer(
    _ graph: Graph, on images: ImageDataset, _ settings: TrainingSettings, output: String?,
    objective: (any TrainingObjective)? = nil, changesShapes: Bool = false
  ) throws -> Trainer {
    // The checkpoint of a graph whose shapes change during training does not fit its initial
    // shapes.
    let checkpoint = changesShapes ? nil : checkpoint
    func make(resumes: Bool) throws -> Trainer {
      try Trainer(
        graph, training: images, validation: validation, settings: settings, objective: objective,
        threads: threads, checkpoint: checkpoint, resumes: resumes, output: output)
    }
    guard let checkpoint, InputFile.exists(checkpoint.path) else { return try make(resumes: false) }
    // A damaged checkpoint only costs the time that was spent on it.
    do { return try make(resumes: true) } catch is SwiftletError {
      return try make(resumes: false)
    }
  }

  /// Holds back samples for judging a model compressed without labels: returns a context that does
  /// not calibrate with them, as far as there are enough.
  ///
  /// - Returns: `nil` without samples.
  /// - Throws: `badInput` if samples do not fit the model, or the share leaves one part empty.
  func holdingBack(
    for recipe: Recipe
  ) throws -> (context: CompressionContext, judging: CalibrationSource, split: SampleSplit)? {
    guard case .samples(let samples) = data else { return nil }
    let wanted = recipe.steps.map(\.settings).filter(\.needsSamples).map(\.calibrationImages).max()
    let all = try calibration(for: original)
    if let others = samples.judging {
      var judging = try CalibrationSource(
        others, for: original, fixed: samples.fixed, threads: threads)
      judging.outputs = outputs
      var context = self
      context.judged = (others, 0..<judging.count)
      return (
        context, judging,
        SampleSplit(calibrating: min(wanted ?? 0, all.count), judgingOthers: judging.count)
      )
    }
    let split = try SampleSplit(all, wanted: wanted, share: samples.share, progress: progress)
    var context = self
    if split.calibrating > 0 { context.calibrationLimit = split.calibrating }
    context.judged = (samples.data, split.judging)
    return (context, all, split)
  }

  /// The number of samples available to a step with the given limit, as text such as `512 images`.
  func samples(_ limit: Int) -> String {
    switch data {
    case .images(let training, _): "\(min(limit, training.count)) images"
    case .samples:
      (try? calibration(for: original, limit: limit)).map {
        "\($0.count) sample\($0.count == 1 ? "" : "s")"
      } ?? "no samples"
    case .none: "no samples"
    }
  }
}
