// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime

/// A model compressed without labels, and how its answers agree with the original's.
public struct UnlabelledResult: Sendable {
  /// The compressed model.
  public let graph: Graph
  /// The recipe that made it.
  public let recipe: Recipe
  /// What each step did to each layer.
  public let layers: [LayerReport]
  /// The original model.
  public let before: Side
  /// The compressed model.
  public let after: Side
  /// Agreement of the answers with the original's; `nil` without samples.
  public let agreement: Agreement?
  /// Number of calibration samples.
  public let calibrationSamples: Int
  /// Whether answers were compared on samples that were not used for calibration.
  public let isHeldBack: Bool
  /// Number of judging samples that are duplicates of calibration samples.
  public let repeated: Int
  /// Number of samples left out because they do not fill a batch of the model.
  public let leftOut: Int
  /// The models that a preset tried; `nil` without a preset.
  public let candidates: [Candidate]?

  /// A model that a preset tried.
  public struct Candidate: Sendable, Codable, Equatable {
    /// The techniques that made it, in order.
    public let techniques: [Technique]
    /// Signal-to-noise ratio of its answers in dB; `nil` if answers are not finite.
    public let decibels: Double?
    /// The original's time divided by its own; `nil` if not measured.
    public let speedup: Double?
    /// Whether it is the result.
    public let chosen: Bool
  }

  /// The cost and speed of a model, as far as known.
  public struct Side: Sendable, Codable, Equatable {
    /// Size of the ONNX file in bytes.
    public let fileBytes: Int
    /// Number of parameters.
    public let parameters: Int
    /// Multiply–accumulate operations per sample; `nil` if shapes depend on data.
    public let macs: Int?
    /// Samples per second on all threads; `nil` if not measured.
    public let samplesPerSecond: Double?
    /// Milliseconds for a single sample, or per run for a model with a fixed batch; `nil` if not
    /// measured.
    public let latencyMs: Double?
  }
}

extension Compressor {
  /// A recipe and the model it made.
  private struct UnlabelledTrial {
    let recipe: Recipe
    let graph: Graph
    let layers: [LayerReport]
    let fileBytes: Int

    init(_ recipe: Recipe, _ graph: Graph, _ layers: [LayerReport]) throws {
      (self.recipe, self.graph, self.layers) = (recipe, graph, layers)
      fileBytes = try ONNXFile.encode(graph).count
    }
  }

  private typealias Held = (
    context: CompressionContext, judging: CalibrationSource, split: SampleSplit
  )

  /// Compresses a model without labels, or without any data: nothing can be trained and accuracy
  /// cannot be measured. The answers are compared with the original's on samples that are held
  /// back; see ``SampleSplit``.
  ///
  /// Targets are reached as in ``run(_:)``.
  ///
  /// - Parameters:
  ///   - recipe: The steps to apply.
  ///   - times: Whether to measure speeds; those that a target depends on are always measured.
  ///
  /// - Throws: `unsupported` if a step needs labels, `maxDrop` is a goal, or no strength reaches
  ///   the targets.
  public func runUnlabelled(_ recipe: Recipe, times: Bool = true) throws -> UnlabelledResult {
    try recipe.validate()
    try context.check(recipe)
    guard goals.maxDrop == nil else {
      throw SwiftletError(
        .unsupported, "measuring an accuracy drop needs labels", mend: "leave --max-drop out")
    }
    let held = try context.holdingBack(for: recipe)
    let compressor = Compressor(held?.context ?? context, goals: goals, stages: stages)
    let bytes = try originalBytes()
    let found = try compressor.search(recipe) { candidate in
      let made = try compressor.make(candidate)
      let trial = try UnlabelledTrial(candidate, made.graph, made.notes.layers)
      return (trial, try missed(trial, bytes, held?.judging))
    }
    return try result(found.best, held, times: times)
  }

  /// Compresses by a preset's recipe, or by some of its steps if that is better (``PresetChoice``).
  /// With goals or without samples, works like ``runUnlabelled(_:times:)`` with all steps.
  ///
  /// - Throws: The errors of ``runUnlabelled(_:times:)``.
  public func runUnlabelled(preset recipe: Recipe, times: Bool = true) throws -> UnlabelledResult {
    guard goals.isEmpty, let held = try context.holdingBack(for: recipe) else {
      return try runUnlabelled(recipe, times: times)
    }
    let parts = try Compressor(held.context, stages: stages).parts(of: recipe)
    let agreements = try parts.map {
      try Agreement.measure(
        context.original, $0.graph, held.judging, judging: held.split.judging,
        threads: context.threads, progress: context.progress)
    }
    let speeds =
      times
      ? try held.judging.speeds(
        of: [context.original] + parts.map(\.graph), threads: context.threads) : []
    let options = zip(agreements, parts.indices).map { agreement, index in
      PresetChoice.Option(
        speedup: speeds.isEmpty ? nil : speeds[index + 1] / speeds[0],
        accuracy: agreement.decibels,
        isAccurate: agreement.decibels >= CompressionVerdict.leastDecibels)
    }
    let index = PresetChoice.index(options)
    let candidates = zip(parts, options).enumerated().map { position, tried in
      UnlabelledResult.Candidate(
        techniques: tried.0.recipe.steps.map(\.technique),
        decibels: tried.1.accuracy.isFinite ? tried.1.accuracy : nil, speedup: tried.1.speedup,
        chosen: position == index)
    }
    let best =
      try index.map { try UnlabelledTrial(parts[$0].recipe, parts[$0].graph, parts[$0].layers) }
      ?? UnlabelledTrial(Recipe([]), context.original, [])
    return try result(
      best, held, times: times,
      speeds: index.map { speeds.isEmpty ? [] : [speeds[0], speeds[$0 + 1]] },
      candidates: candidates)
  }

  private func originalBytes() throws -> Int {
    try context.fileBytes ?? ONNXFile.encode(context.original).count
  }

  /// - Parameter known: Speeds of the original and the best model, if already measured.
  private func result(
    _ best: UnlabelledTrial, _ held: Held?, times: Bool, speeds known: [Double]? = nil,
    candidates: [UnlabelledResult.Candidate]? = nil
  ) throws -> UnlabelledResult {
    var speeds: [Double] = []
    var latencies: [Double] = []
    if let held, times {
      speeds =
        try known
        ?? held.judging.speeds(of: [context.original, best.graph], threads: context.threads)
      latencies = try self.latencies(best.graph, held.judging)
    }
    func side(
      _ graph: Graph, _ bytes: Int, _ speed: Double?, _ latency: Double?
    ) -> UnlabelledResult.Side {
      UnlabelledResult.Side(
        fileBytes: bytes, parameters: graph.parameterCount,
        macs: try? ModelCost(graph, fileBytes: bytes).macs, samplesPerSecond: speed,
        latencyMs: latency)
    }
    return UnlabelledResult(
      graph: best.graph, recipe: best.recipe, layers: best.layers,
      before: side(context.original, try originalBytes(), speeds.first, latencies.first),
      after: side(best.graph, best.fileBytes, speeds.last, latencies.last),
      agreement: try agreement(of: best.graph, made: best.recipe),
      calibrationSamples: held?.split.calibrating ?? 0,
      isHeldBack: held?.split.isHeldBack ?? false, repeated: held?.split.repeated ?? 0,
      leftOut: held?.judging.leftOut ?? 0,
      candidates: candidates)
  }

  /// The agreement of a model's answers with the original's, on samples that its recipe did not use
  /// for calibration; `nil` without samples.
  ///
  /// - Throws: `badInput` if the samples do not fit; the errors of running a session.
  public func agreement(of graph: Graph, made recipe: Recipe) throws -> Agreement? {
    guard let held = try context.holdingBack(for: recipe) else { return nil }
    return try Agreement.measure(
      context.original, graph, held.judging, judging: held.split.judging,
      threads: context.threads, progress: context.progress)
  }

  private func missed(
    _ trial: UnlabelledTrial, _ bytes: Int, _ source: CalibrationSource?
  ) throws -> Miss? {
    let graph = trial.graph
    if goals.size != nil || goals.macs != nil {
      // Operations are counted only for a MACs goal: not every model allows it.
      let costs = try [(context.original, bytes), (graph, trial.fileBytes)].map { graph, bytes in
        goals.macs == nil
          ? ModelCost(fileBytes: bytes, parameters: graph.parameterCount, macs: 0)
          : try ModelCost(graph, fileBytes: bytes)
      }
      if let reason = goals.missedCost(costs[0], costs[1]) { return (reason, true) }
    }
    guard let bound = goals.latency else { return nil }
    guard let source else {
      throw SwiftletError(
        .badInput, "there are no samples to measure time with",
        mend: "give samples with --data inputs:FILE.npz")
    }
    let latencies = try latencies(graph, source)
    let most = bound.value(of: latencies[0])
    guard latencies[1] > most else { return nil }
    return (
      "\(ReportNumber.significant(latencies[1])) ms per sample, more than "
        + ReportNumber.significant(most), true
    )
  }

  /// Milliseconds per run of the original and of a graph, measured in alternation: a run takes one
  /// sample, or the model's fixed batch.
  private func latencies(_ graph: Graph, _ source: CalibrationSource) throws -> [Double] {
    let single = source.single
    return try single.speeds(of: [context.original, graph], threads: context.threads)
      .map { Double(single.count) / $0 * 1e3 }
  }
}
