// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
public import SwiftletGraph
public import SwiftletRuntime
import SwiftletTraining
import Synchronization

/// Judges models by one metric on the same samples, so that their scores can be compared.
///
/// Batches are read, run and scored one after the other: memory does not grow with the number of
/// samples, except by what the metric itself has to keep. Outputs of the original model that a
/// metric compares with are kept for later models if they take at most 256 MB, else computed again.
public final class Judge: Sendable {
  /// The metric.
  public let metric: Metric
  private let data: ImageDataset
  private let fixed: [String: FixedInput]
  /// A model with the inputs that the source is for.
  private let model: Graph
  /// Positions of the samples in the data; `nil`: all.
  private let judging: Range<Int>?
  /// The samples in batches; `nil` for accuracy, which has batches of its own.
  private let source: CalibrationSource?
  /// Names of the arrays that say what outputs should be.
  private let targets: [String]
  private let original: Graph?
  private let output: String?
  private let options: Options
  private let known = Mutex(Known())

  /// How models are run and judged.
  public struct Options: Sendable {
    /// Threads of each model.
    public var threads: Threads
    /// Arithmetic of fp32 layers of judged models; the original always computes in fp32.
    public var precision: Precision
    /// Whether drops need confidence bounds: for metrics that score all samples at once, as those
    /// of a command, this takes further scores.
    public var needsBound: Bool
    /// Seed of random choices.
    public var seed: UInt64
    /// Images per batch for accuracy; other metrics use smaller batches.
    public var batch: Int
    /// Called after each batch; throws to cancel.
    public var progress: Progress.Handler?

    /// Options with the given values.
    public init(
      threads: Threads = .available, precision: Precision = .fp32, needsBound: Bool = false,
      seed: UInt64 = 0, batch: Int = 250, progress: Progress.Handler? = nil
    ) {
      (self.threads, self.precision, self.needsBound) = (threads, precision, needsBound)
      (self.seed, self.batch, self.progress) = (seed, batch, progress)
    }
  }

  /// What was computed for earlier models.
  private struct Known {
    /// Outputs of the original by the samples of a batch.
    var outputs: [Range<Int>: [String: AnyTensor]] = [:]
    var bytes = 0
    var original: Judgement?
  }

  /// Bytes of the original's outputs that are kept.
  private static let keptBytes = 1 << 28

  /// Chooses samples and prepares to read them.
  ///
  /// - Parameters:
  ///   - metric: The metric; `nil`: top-1 accuracy if the data have labels, else agreement with the
  ///     original.
  ///   - data: The samples. Arrays in it that are named after an output, or `targets`, say what
  ///     outputs should be.
  ///   - fixed: Inputs that have the same value in every run, by name.
  ///   - judging: Positions of the samples to judge on; `nil`: all.
  ///   - original: The model to compare with; `nil` if the metric needs none.
  ///   - model: A model with the inputs and outputs of those to be judged.
  ///   - outputs: Names of the outputs to judge by; empty: for accuracy the only one that can hold
  ///     the scores, else all.
  ///   - options: How models are run.
  /// - Throws: `badInput` if the metric needs an original and there is none; `unsupported` if it
  ///   needs labels and there are none; the errors of matching data to a model.
  public init(
    _ metric: Metric? = nil, on data: ImageDataset, fixed: [String: FixedInput] = [:],
    judging: Range<Int>? = nil, original: Graph? = nil, like model: Graph, outputs: [String] = [],
    options: Options = Options()
  ) throws {
    let metric = metric ?? .standard(hasLabels: data.hasLabels)
    (self.metric, self.original, self.options) = (metric, original, options)
    if metric.reference == .labels, !data.hasLabels {
      throw SwiftletError(
        .unsupported, "the metric \(metric.name) needs labels, but the data have none",
        at: data.name,
        fix: "use --metric agreement, which compares answers with the original model's")
    }
    if case .accuracy = metric.kind {
      guard outputs.count < 2 else {
        throw SwiftletError(
          .badInput, "accuracy is that of one output, not of " + outputs.joined(separator: ", "),
          fix: "give one --judged-output")
      }
      (source, targets) = (nil, [])
    } else {
      var source = try CalibrationSource(data, for: model, fixed: fixed, threads: options.threads)
      source.outputs = outputs
      targets = try data.targetNames(for: model, samples: source.count + source.leftOut)
      self.source = source
    }
    (self.data, self.fixed, self.model) = (data, fixed, model)
    (self.judging, output) = (judging, outputs.first)
    if needsOriginal, original == nil {
      throw SwiftletError(
        .badInput, "the metric \(metric.name) compares a model with its original",
        fix: "give the original model with --original")
    }
  }

  /// Whether the metric reads the original's outputs for these samples.
  private var needsOriginal: Bool {
    switch metric.reference {
    case .labels, .own: false
    case .targetsOrOriginal: targets.isEmpty
    case .original: true
    }
  }

  /// Number of samples that are not judged, as they do not fill a batch of the model's fixed size.
  public var leftOut: Int { source?.leftOut ?? 0 }

  /// Judges the original model, once.
  ///
  /// - Precondition: There is an original.
  /// - Throws: As ``judge(_:)``; `numerical` if its score is not a number.
  public func judgeOriginal() throws -> Judgement {
    guard let original else { preconditionFailure("a judge without an original") }
    if let judgement = known.withLock({ $0.original }) { return judgement }
    let judgement = try judge(original, isOriginal: true)
    let isSilent = !judgement.choices.isEmpty && judgement.choices.allSatisfy { $0 < 0 }
    guard judgement.score.isFinite, !isSilent else {
      throw SwiftletError(
        .numerical,
        "the original model has no score: its outputs, or what the metric makes of them, are NaN "
          + "or infinite", at: "metric '\(metric.name)'",
        fix: "judge on other samples, or by another metric")
    }
    known.withLock { $0.original = judgement }
    return judgement
  }

  /// Judges a model.
  ///
  /// - Throws: `badInput` if the samples do not fit it, `unsupported` if the metric cannot judge
  ///   its outputs; the errors of the metric and of running a session.
  public func judge(_ graph: Graph) throws -> Judgement { try judge(graph, isOriginal: false) }

  private func judge(_ graph: Graph, isOriginal: Bool) throws -> Judgement {
    switch metric.kind {
    case .accuracy(let among):
      let found = try Evaluation.judge(
        graph, on: judging.map { data.slice($0) } ?? data, fixed: fixed, batch: options.batch,
        threads: options.threads, precision: options.precision, output: output,
        progress: options.progress)
      return Judgement(metric.label, found, isTop1: among == 1)
    case .scorer(let make):
      guard let source else { preconditionFailure("the initializer makes one for scorers") }
      return try score(graph, on: source, isOriginal: isOriginal, make)
    }
  }

  private func score(
    _ graph: Graph, on source: CalibrationSource, isOriginal: Bool,
    _ make: (MetricSetting) throws -> any MetricScorer
  ) throws -> Judgement {
    let names = try source.judgedOutputs(of: graph)
    // The original's outputs are those that it is compared with.
    let runsOnce = isOriginal && needsOriginal
    let session = try Session(
      graph, threads: options.threads, precision: isOriginal ? .fp32 : options.precision)
    let own = try inputs(of: graph, source)
    let reference = try needsOriginal && !runsOnce ? reference(for: graph, source) : nil
    let leading = try own.leading(with: reference?.source)
    let range = judging ?? 0..<leading.count
    var scorer = try make(
      MetricSetting(
        samples: range.count, needsBound: options.needsBound, seed: options.seed,
        progress: options.progress))
    var (elapsed, count) = (Duration.zero, 0)
    let positions = data.positions
    try own.forEachBatch(
      from: range.lowerBound, to: range.upperBound, asOf: leading
    ) { inputs, samples in
      let outputs: [String: AnyTensor]
      if runsOnce {
        outputs = try originalOutputs(samples, names) {
          try Self.run(session, inputs, &elapsed)
        }
      } else {
        outputs = try Self.run(session, inputs, &elapsed).filter { names.contains($0.key) }
      }
      var original: [String: AnyTensor] = runsOnce ? outputs : [:]
      if let reference {
        var waiting = Duration.zero
        original = try originalOutputs(samples, names) {
          let theirs = try reference.source?.inputs(samples) ?? inputs
          return try Self.run(reference.session, theirs, &waiting)
        }
      }
      try scorer.add(
        MetricBatch(
          outputs: outputs, outputNames: names, samples: samples,
          positions: positions.map { Array($0[samples]) }, names: data.names(samples),
          labels: data.hasLabels ? Array(data.labels[samples]) : [],
          targets: try data.targets(targets, samples), original: original))
      count += samples.count
      try options.progress?(Progress("evaluate", completed: count, total: range.count))
    }
    let result = try scorer.finish()
    return Judgement(
      metric.label, result, samples: count,
      samplesPerSecond: Double(count) / max(elapsed / .seconds(1), 1e-9))
  }

  /// A session of the original, and the samples as it takes them; `nil`: as the judged model does.
  private func reference(
    for graph: Graph, _ source: CalibrationSource
  ) throws -> (session: Session, source: CalibrationSource?)? {
    guard let original else { return nil }
    let session = try Session(original, threads: options.threads)
    if try takesSameInputs(original) && takesSameInputs(graph) { return (session, nil) }
    return (session, try inputs(of: original, source))
  }

  /// The samples as a model takes them.
  private func inputs(
    of graph: Graph, _ source: CalibrationSource
  ) throws -> CalibrationSource {
    guard try !takesSameInputs(graph) else { return source }
    var own = try CalibrationSource(data, for: graph, fixed: fixed, threads: options.threads)
    own.outputs = source.outputs
    return own
  }

  /// Whether a model takes samples as ``model`` does.
  private func takesSameInputs(_ graph: Graph) throws -> Bool {
    guard graph.dataInputs == model.dataInputs else { return false }
    if case .arrays = data.pixels { return true }
    return try InputFeed(data, for: graph, fixed: fixed).preprocessing
      == InputFeed(data, for: model, fixed: fixed).preprocessing
  }

  private static func run(
    _ session: Session, _ inputs: [String: AnyTensor], _ elapsed: inout Duration
  ) throws -> [String: AnyTensor] {
    let clock = ContinuousClock()
    let start = clock.now
    defer { elapsed += start.duration(to: clock.now) }
    return try session.run(inputs)
  }

  /// The original's outputs for a batch, kept from an earlier model if there was room.
  private func originalOutputs(
    _ samples: Range<Int>, _ names: [String], _ run: () throws -> [String: AnyTensor]
  ) throws -> [String: AnyTensor] {
    if let kept = known.withLock({ $0.outputs[samples] }) { return kept }
    let outputs = try run().filter { names.contains($0.key) }
    let bytes = outputs.values.reduce(0) { $0 + $1.byteCount }
    known.withLock { known in
      guard known.bytes + bytes <= Self.keptBytes else { return }
      known.bytes += bytes
      known.outputs[samples] = outputs
    }
    return outputs
  }
}
