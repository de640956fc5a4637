// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
import SwiftletFiles
public import SwiftletGraph
import SwiftletTraining

/// What passes work with besides the graph.
public struct CompressionContext: Sendable {
  /// The model before any compression, its weights folded (`Graph.foldingWeights()`): the teacher.
  public let original: Graph
  public let threads: Threads
  public let seed: UInt64
  /// What has been timed on this machine.
  public let latencies: LatencyCache
  public let progress: Progress.Handler?
  /// Outputs by which models are judged; none: all of them. With labels the first one holds the
  /// scores; none: the one that can.
  public let outputs: [String]
  /// Bytes of the files that the original is from; `nil`: of the one that it would be written as.
  public var fileBytes: Int?
  /// Where a step that trains keeps its progress, and finds that of an interrupted run of it.
  var checkpoint: CheckpointFile?
  private let data: Data
  /// The most samples to calibrate with: others are held back to judge on.
  private var calibrationLimit = Int.max

  private enum Data {
    case images(training: ImageDataset, validation: ImageDataset)
    case samples(Samples)
    case none
  }

  /// Inputs without labels.
  private struct Samples {
    let arrays: [String: AnyTensor]
    let fixed: [String: FixedInput]
    /// Others to judge on; `nil`: a part of the arrays.
    let judging: [String: AnyTensor]?
    /// How much of the arrays is calibrated with; `nil`: as ``SampleSplit`` has it.
    let share: Double?
  }

  /// With labels: training images to calibrate and learn with, validation images to judge with.
  public init(
    original: Graph, training: ImageDataset, validation: ImageDataset,
    threads: Threads = .available, seed: UInt64 = 0, latencies: LatencyCache = LatencyCache(),
    outputs: [String] = [], progress: Progress.Handler? = nil
  ) {
    self.init(
      original, .images(training: training, validation: validation), threads, seed, latencies,
      outputs, progress)
  }

  /// Without labels: enough for all that does not train. The samples are arrays for all inputs of
  /// the model, as ``CalibrationSource`` takes them, but for those that are fixed. Answers are
  /// judged on `judging`, or else on a part of the samples that is held back: all but `share` of
  /// them, by default a quarter at least.
  public init(
    original: Graph, samples: [String: AnyTensor], fixed: [String: FixedInput] = [:],
    judging: [String: AnyTensor]? = nil, share: Double? = nil,
    threads: Threads = .available, seed: UInt64 = 0, latencies: LatencyCache = LatencyCache(),
    outputs: [String] = [], progress: Progress.Handler? = nil
  ) {
    self.init(
      original,
      .samples(Samples(arrays: samples, fixed: fixed, judging: judging, share: share)), threads,
      seed, latencies, outputs, progress)
  }

  /// Without any data: enough for what changes weights alone.
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
    // Extents that the model leaves open are the data's. Data that do not fit say none: calibration
    // refuses them.
    let source = try? Self.source(data, original, limit: 1, threads)
    // Techniques find weights among the constants alone.
    var original = original.foldingWeights()
    original.extents.merge((try? source?.extents(of: original)) ?? [:]) { given, _ in given }
    self.original = original
  }

  /// Images to calibrate and learn with.
  public var training: ImageDataset {
    get throws { try images().training }
  }

  /// Images to judge with.
  public var validation: ImageDataset {
    get throws { try images().validation }
  }

  private func images() throws -> (training: ImageDataset, validation: ImageDataset) {
    guard case .images(let training, let validation) = data else {
      throw SwiftletError(
        .unsupported, "this needs images with labels; there are inputs alone",
        mend: "give labelled images")
    }
    return (training, validation)
  }

  /// The output with the scores that labels are compared with; `nil` of a model that has one
  /// output.
  ///
  /// - Throws: `badInput` if several could be meant, or none; as ``training`` without labels.
  var scores: String? {
    get throws {
      if let name = outputs.first { return name }
      return original.outputs.count > 1
        ? try Evaluation.scores(of: original, for: images().validation) : nil
    }
  }

  /// Whether there is anything to calibrate with.
  var hasSamples: Bool { if case .none = data { false } else { true } }

  /// - Throws: `unsupported` if a step needs labels and there are none, `badInput` if arrays have
  ///   other extents than the graph's: before any step is taken.
  func check(_ recipe: Recipe) throws {
    if hasSamples {
      let own = try calibration(for: original, limit: 1).extents(of: original)
      if let (name, extent) = original.extents.first(where: { own[$0.key] ?? $0.value != $0.value })
      {
        throw SwiftletError(
          .badInput, "\(name)=\(extent), but the arrays have \(name)=\(own[name] ?? 0)",
          mend: "leave that extent to the arrays")
      }
    }
    guard let step = recipe.steps.first(where: { $0.settings.labelUse != nil }) else { return }
    guard case .images = data else {
      throw SwiftletError(
        .unsupported, "\(step.settings.labelUse ?? ""); there are inputs alone",
        at: "technique \(step.technique.rawValue)",
        mend: "give images with labels, or choose steps that need none")
    }
    let training = try images().training
    for step in recipe.steps { try step.settings.check(trainingImages: training.count) }
  }

  /// The first samples, as a model takes them.
  ///
  /// - Throws: `badInput` if there are none; as ``CalibrationSource``.
  public func calibration(for graph: Graph, limit: Int = .max) throws -> CalibrationSource {
    var source = try Self.source(data, graph, limit: min(limit, calibrationLimit), threads)
    source.outputs = outputs
    return source
  }

  private static func source(
    _ data: Data, _ graph: Graph, limit: Int, _ threads: Threads
  ) throws -> CalibrationSource {
    switch data {
    case .images(let training, _):
      return try CalibrationSource(training, for: graph, limit: limit, threads: threads)
    case .samples(let samples):
      return try CalibrationSource(
        samples.arrays, for: graph, fixed: samples.fixed, limit: limit)
    case .none:
      throw SwiftletError(
        .badInput, "this looks at what the model does with samples",
        mend: "give some with --data inputs:FILE.npz")
    }
  }

  /// What trains a graph on the images, from the checkpoint on if there is one.
  ///
  /// - Throws: As `Trainer`.
  func trainer(
    _ graph: Graph, on images: ImageDataset, _ settings: TrainingSettings, output: String?,
    objective: (any TrainingObjective)? = nil, changesShapes: Bool = false
  ) throws -> Trainer {
    // Values of a graph that had changed on the way do not fit the one that training begins with.
    let checkpoint = changesShapes ? nil : checkpoint
    func make(resumes: Bool) throws -> Trainer {
      try Trainer(
        graph, training: images, validation: validation, settings: settings, objective: objective,
        threads: threads, checkpoint: checkpoint, resumes: resumes, output: output)
    }
    guard let checkpoint, InputFile.exists(checkpoint.path) else { return try make(resumes: false) }
    // A damaged checkpoint costs the time that was spent on it, and nothing else.
    do { return try make(resumes: true) } catch is SwiftletError {
      return try make(resumes: false)
    }
  }

  /// Samples to judge a model on that was compressed without labels, and a context that does not
  /// calibrate with them, as far as that goes.
  ///
  /// - Returns: `nil` without samples.
  /// - Throws: `badInput` if they do not fit the model, or a share leaves a part of them empty.
  func holdingBack(
    for recipe: Recipe
  ) throws -> (context: CompressionContext, judging: CalibrationSource, split: SampleSplit)? {
    guard case .samples(let samples) = data else { return nil }
    let wanted = recipe.steps.map(\.settings).filter(\.needsSamples).map(\.calibrationImages).max()
    let all = try calibration(for: original)
    if let others = samples.judging {
      var judging = try CalibrationSource(others, for: original, fixed: samples.fixed)
      judging.outputs = outputs
      return (
        self, judging,
        SampleSplit(calibrating: min(wanted ?? 0, all.count), judgingOthers: judging.count)
      )
    }
    let split = try SampleSplit(all, wanted: wanted, share: samples.share)
    var context = self
    if split.calibrating > 0 { context.calibrationLimit = split.calibrating }
    return (context, all, split)
  }

  /// How many samples there are of those that a step asks for, for a person.
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
