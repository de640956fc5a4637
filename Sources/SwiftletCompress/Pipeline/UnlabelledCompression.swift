// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime

/// A model that was compressed without labels, and how its answers compare with the original's.
public struct UnlabelledResult: Sendable {
  public let graph: Graph
  public let recipe: Recipe
  public let layers: [LayerReport]
  public let before: Side
  public let after: Side
  /// `nil` without samples.
  public let agreement: Agreement?
  /// Samples that the model was calibrated with.
  public let calibrationSamples: Int
  /// Whether the answers are to samples that nothing was calibrated with.
  public let isHeldBack: Bool
  /// How many of the samples that judge are the same as some that were calibrated with.
  public let repeated: Int
  /// Samples that fill no batch of the model's.
  public let leftOut: Int
  /// The models that a preset has tried; `nil` without one.
  public let candidates: [Candidate]?

  /// A model that a preset has tried.
  public struct Candidate: Sendable, Codable, Equatable {
    public let techniques: [Technique]
    /// Of its answers; `nil` without samples, and of answers that are not finite.
    public let decibels: Double?
    /// The original's time over its own; `nil`: not measured.
    public let speedup: Double?
    public let chosen: Bool
  }

  /// What a model weighs, and how fast it is, as far as that is known.
  public struct Side: Sendable, Codable, Equatable {
    public let fileBytes: Int
    public let parameters: Int
    /// Multiply–accumulate operations per sample; `nil` where shapes depend on data.
    public let macs: Int?
    public let samplesPerSecond: Double?
    /// Milliseconds of one sample alone, of a model with a fixed batch of that.
    public let latencyMs: Double?
  }
}

extension Compressor {
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

  /// Compresses a model for which there are no labels, or no data at all: nothing can be trained,
  /// and no accuracy be told. The answers are compared with the original's, on samples that are
  /// held back; see ``SampleSplit``.
  ///
  /// Targets are reached as by ``run(_:)``. Without `times` nothing is timed but what a target asks
  /// for.
  ///
  /// - Throws: `unsupported` if a step needs labels, or no strength reaches the targets.
  public func runUnlabelled(_ recipe: Recipe, times: Bool = true) throws -> UnlabelledResult {
    try recipe.validate()
    try context.check(recipe)
    guard goals.maxDrop == nil else {
      throw SwiftletError(
        .unsupported, "a drop of accuracy needs labels", mend: "leave --max-drop out")
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

  /// As ``runUnlabelled(_:times:)``, or by some of a preset's steps where that is better
  /// (``PresetChoice``). With goals these decide; without samples nothing is compared, and all
  /// steps are taken.
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

  /// `speeds`: Of the original and the best, where they are known already.
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

  /// How the answers of a model that a recipe has made compare with the original's, on samples that
  /// the recipe did not see; `nil` without samples.
  ///
  /// - Throws: `badInput` if the samples do not fit; what running a session throws.
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
      // Operations are counted only if they are asked for: not all models say how many they take.
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
        .badInput, "there are no samples to take a time with",
        mend: "give some with --data inputs:FILE.npz")
    }
    let latencies = try latencies(graph, source)
    let most = bound.value(of: latencies[0])
    guard latencies[1] > most else { return nil }
    return (
      "\(ReportNumber.significant(latencies[1])) ms per sample, more than "
        + ReportNumber.significant(most), true
    )
  }

  /// Milliseconds of one sample of the original, and of a graph, in turns.
  private func latencies(_ graph: Graph, _ source: CalibrationSource) throws -> [Double] {
    let single = source.single
    return try single.speeds(of: [context.original, graph], threads: context.threads)
      .map { Double(single.count) / $0 * 1e3 }
  }
}
