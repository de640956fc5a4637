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
  /// Times for single samples and batches, on one thread and on all; empty if not measured.
  public let speeds: [SpeedRow]
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
  /// The models that a preset or a search for goals tried; `nil` if there was only one.
  public let candidates: [Candidate]?
  /// The scores by the metric; `nil` if none was chosen and no goal depends on one.
  public let metric: MetricReport?

  /// A model that a preset or a search for goals tried.
  public struct Candidate: Sendable, Codable, Equatable {
    /// What distinguishes it from the others, for example `ratio 0.3`; `nil` in reports of older
    /// versions.
    public let label: String?
    /// The techniques that made it, in order.
    public let techniques: [Technique]
    /// Signal-to-noise ratio of its answers in dB; `nil` if answers are not finite, or if it was
    /// rejected before they were compared.
    public let decibels: Double?
    /// The original's time divided by its own; `nil` if not measured.
    public internal(set) var speedup: Double?
    /// Size of the ONNX file in bytes; `nil` in reports of older versions.
    public let bytes: Int?
    /// Whether it is the result.
    public let chosen: Bool
    /// Why it was rejected; `nil` for the result, and in reports of older versions.
    public let reason: String?
    /// The score by the metric; `nil` if it was not judged by one.
    public let score: Double?
  }

  /// The cost and speed of a model, as far as known.
  public struct Side: Sendable, Codable, Equatable {
    /// Size of the ONNX file in bytes.
    public let fileBytes: Int
    /// Number of parameters.
    public let parameters: Int
    /// Multiply–accumulate operations per sample; `nil` if shapes depend on data.
    public let macs: Int?
    /// Samples per second on all threads, in the largest batch that was timed; `nil` if not
    /// measured.
    public let samplesPerSecond: Double?
    /// Milliseconds for a single sample, or per run for a model with a fixed batch, on all threads;
    /// `nil` if not measured.
    public let latencyMs: Double?
  }
}

extension Compressor {
  /// A recipe, the model it made, and how that compares with the original, as far as measured.
  private struct UnlabelledTrial {
    let recipe: Recipe
    let graph: Graph
    let layers: [LayerReport]
    let fileBytes: Int
    var agreement: Agreement?
    /// How good it is by the metric, if goals or reports need that.
    var judgement: Judgement?
    /// The original's time divided by its own.
    var speedup: Double?
    /// Why it is not the result.
    var reason: String?

    init(_ recipe: Recipe, _ graph: Graph, _ layers: [LayerReport]) throws {
      (self.recipe, self.graph, self.layers) = (recipe, graph, layers)
      fileBytes = try ONNXFile.encode(graph).count
    }

    func candidate(_ label: String, isChosen: Bool) -> UnlabelledResult.Candidate {
      let decibels = agreement?.decibels
      let broken = decibels?.isFinite == false ? "answers that are not finite" : nil
      return UnlabelledResult.Candidate(
        label: label, techniques: recipe.steps.map(\.technique),
        decibels: decibels?.isFinite == true ? decibels : nil, speedup: speedup, bytes: fileBytes,
        chosen: isChosen, reason: isChosen ? nil : broken ?? reason, score: judgement?.score)
    }
  }

  private typealias Held = (
    context: CompressionContext, judging: CalibrationSource, split: SampleSplit
  )

  /// Compresses a model without labels, or without any data: nothing can be trained and accuracy
  /// cannot be measured. The answers are compared with the original's on samples that are held
  /// back; see ``SampleSplit``. With a metric, or a largest drop, they are judged by that metric
  /// too.
  ///
  /// Targets are reached as in ``run(_:)``.
  ///
  /// - Parameters:
  ///   - recipe: The steps to apply.
  ///   - times: Whether to measure speeds; those that a target depends on are always measured.
  ///
  /// - Throws: `unsupported` if a step or the metric needs labels, or no strength reaches the
  ///   goals; `badInput` if the goals need samples and there are none.
  public func runUnlabelled(_ recipe: Recipe, times: Bool = true) throws -> UnlabelledResult {
    try recipe.validate()
    try context.check(recipe)
    let held = try context.holdingBack(for: recipe)
    let (compressor, judge) = try judgingUnlabelled(recipe, held)
    let before = try judge?.judgeOriginal()
    let bytes = try originalBytes()
    let cells = try times || goals.latency != nil ? self.cells(held) : nil
    var tried: [UnlabelledTrial] = []
    let found = try compressor.search(recipe) { candidate in
      let made = try compressor.make(candidate)
      var trial = try UnlabelledTrial(
        candidate, context.specified(made.graph), made.notes.layers)
      var miss = try measure(&trial, bytes, held, cells, isTimed: times && !goals.isEmpty)
      if miss?.isTarget != true, let judge, let before {
        let judgement = try judge.judge(trial.graph)
        trial.judgement = judgement
        miss = try goals.missedScore(before, judgement).map { ($0, false) }
      }
      trial.reason =
        miss?.reason
        ?? (goals.hasTarget
          ? "a milder one reaches the targets too" : "a stronger one stays within the drop too")
      tried.append(trial)
      return (trial, miss)
    }
    let candidates = tried.map {
      $0.candidate($0.recipe.label, isChosen: $0.recipe == found.best.recipe)
    }
    return try result(
      found.best, held, times ? cells : nil, candidates: found.varied ? candidates : nil,
      metric: metric(before, found.best.judgement, recipe),
      // After an interruption the handler would throw again.
      progress: found.wasInterrupted ? nil : context.progress)
  }

  /// Compresses by a preset's recipe, or by some of its steps if that is better (``PresetChoice``).
  /// With goals or without samples, works like ``runUnlabelled(_:times:)`` with all steps.
  ///
  /// - Throws: The errors of ``runUnlabelled(_:times:)``.
  public func runUnlabelled(preset recipe: Recipe, times: Bool = true) throws -> UnlabelledResult {
    guard goals.isEmpty, let held = try context.holdingBack(for: recipe) else {
      return try runUnlabelled(recipe, times: times)
    }
    let (compressor, judge) = try judgingUnlabelled(recipe, held)
    let before = try judge?.judgeOriginal()
    var trials = try compressor.parts(of: recipe).map { part in
      var trial = try UnlabelledTrial(
        part.recipe, context.specified(part.graph), part.layers)
      trial.agreement = try agreement(of: trial.graph, held)
      trial.judgement = try judge?.judge(trial.graph)
      trial.reason = "slower or less accurate"
      return trial
    }
    let cells = times ? try self.cells(held) : nil
    let milliseconds = try cells?.last.milliseconds(
      of: [context.original] + trials.map(\.graph), progress: context.progress
    ).map { $0[0] }
    for index in trials.indices {
      trials[index].speedup = milliseconds.map { $0[0] / $0[index + 1] }
    }
    let index = PresetChoice.index(
      trials.map { trial in
        guard let before, let judgement = trial.judgement else {
          let decibels = trial.agreement?.decibels ?? -.infinity
          return PresetChoice.Option(
            speedup: trial.speedup, accuracy: decibels,
            isAccurate: decibels >= CompressionVerdict.leastDecibels)
        }
        let drop = PairedTest(before, judgement).drop
        return PresetChoice.Option(
          speedup: trial.speedup, accuracy: -drop, isAccurate: drop <= before.acceptableDrop)
      })
    let candidates = trials.enumerated().map { position, trial in
      trial.candidate(trial.recipe.techniques, isChosen: position == index)
    }
    var best = try index.map { trials[$0] } ?? UnlabelledTrial(Recipe([]), context.original, [])
    // Some of the steps may need fewer samples than all of them.
    let own = try best.recipe == recipe ? held : context.holdingBack(for: best.recipe) ?? held
    let isSame = own.split == held.split
    if !isSame { (best.agreement, best.judgement) = (nil, nil) }
    let last = try isSame ? judge : judgingUnlabelled(best.recipe, own).judge
    let metric = try metric(
      last?.judgeOriginal(), best.judgement ?? last?.judge(best.graph), best.recipe)
    return try result(
      best, own, cells,
      known: index.flatMap { index in milliseconds.map { ($0[0], $0[index + 1]) } },
      candidates: candidates, metric: metric, progress: context.progress)
  }

  /// A compressor that does not calibrate with the samples that are held back; and the judge by the
  /// metric, if something depends on it.
  ///
  /// - Throws: `badInput` if something depends on it, and there are no samples.
  private func judgingUnlabelled(
    _ recipe: Recipe, _ held: Held?
  ) throws -> (compressor: Compressor, judge: Judge?) {
    let mixes = recipe.steps.contains { $0[QuantizationSettings.self]?.mixedDrop != nil }
    guard context.metric != nil || goals.maxDrop != nil || mixes else {
      return (Compressor(held?.context ?? context, goals: goals, stages: stages), nil)
    }
    return try judging(for: recipe, in: held?.context)
  }

  private func metric(
    _ before: Judgement?, _ after: Judgement?, _ recipe: Recipe
  ) -> MetricReport? {
    guard let before, let after else { return nil }
    return MetricReport(
      comparing: before, after,
      confidence: goals.confidence ?? recipe.steps.compactMap(\.settings.confidence).last)
  }

  private func originalBytes() throws -> Int {
    try context.fileBytes ?? ONNXFile.encode(context.original).count
  }

  private func cells(_ held: Held?) throws -> SpeedCells? {
    try held.map {
      try SpeedCells(
        $0.judging, for: context.original, upTo: context.threads.count, progress: context.progress)
    }
  }

  /// - Parameters:
  ///   - cells: Where to measure speeds; `nil`: not at all.
  ///   - known: Times of the original and the best model in the last cell that the choice was based
  ///     on: the result must not contradict it.
  private func result(
    _ best: UnlabelledTrial, _ held: Held?, _ cells: SpeedCells?,
    known: (before: Double, after: Double)? = nil, candidates: [UnlabelledResult.Candidate]?,
    metric: MetricReport?, progress: Progress.Handler?
  ) throws -> UnlabelledResult {
    var speeds =
      try cells?.rows(before: context.original, after: best.graph, progress: progress) ?? []
    if let known, let last = speeds.popLast() {
      speeds.append(
        SpeedRow(
          threads: last.threads, batch: last.batch, millisecondsBefore: known.before,
          millisecondsAfter: known.after))
    }
    // The figure of the result itself, not the one of the search.
    let candidates = candidates?.map { candidate in
      var candidate = candidate
      if candidate.chosen, let last = speeds.last { candidate.speedup = last.ratio }
      return candidate
    }
    func side(
      _ graph: Graph, _ bytes: Int, _ milliseconds: (SpeedRow) -> Double
    ) -> UnlabelledResult.Side {
      UnlabelledResult.Side(
        fileBytes: bytes, parameters: graph.parameterCount,
        macs: try? ModelCost(graph, fileBytes: bytes).macs,
        samplesPerSecond: speeds.last.map { Double($0.batch) / milliseconds($0) * 1e3 },
        latencyMs: speeds.last { $0.batch == speeds[0].batch }.map(milliseconds))
    }
    return UnlabelledResult(
      graph: best.graph, recipe: best.recipe, layers: best.layers,
      before: side(context.original, try originalBytes(), \.millisecondsBefore),
      after: side(best.graph, best.fileBytes, \.millisecondsAfter), speeds: speeds,
      agreement: try best.agreement ?? held.map { try agreement(of: best.graph, $0) },
      calibrationSamples: held?.split.calibrating ?? 0,
      isHeldBack: held?.split.isHeldBack ?? false, repeated: held?.split.repeated ?? 0,
      leftOut: held?.judging.leftOut ?? 0,
      candidates: candidates, metric: metric)
  }

  /// The agreement of a model's answers with the original's, on samples that its recipe did not use
  /// for calibration; `nil` without samples.
  ///
  /// - Throws: `badInput` if the samples do not fit; the errors of running a session.
  public func agreement(of graph: Graph, made recipe: Recipe) throws -> Agreement? {
    try context.holdingBack(for: recipe).map { try agreement(of: graph, $0) }
  }

  /// The judgement of a model by the context's metric, on the images to judge on, or on samples
  /// that its recipe did not use for calibration.
  ///
  /// - Throws: The errors of ``Judge``; `badInput` without data.
  public func judgement(of graph: Graph, made recipe: Recipe) throws -> Judgement {
    let held = try context.holdingBack(for: recipe)
    return try (held?.context ?? context).makeJudge(needsBound: false).judge(graph)
  }

  private func agreement(of graph: Graph, _ held: Held) throws -> Agreement {
    try Agreement.measure(
      context.original, graph, held.judging, judging: held.split.judging,
      threads: context.threads, progress: context.progress)
  }

  /// The target that a trial misses. Unless that is its size or its operations, compares its
  /// answers and measures its speed too.
  private func measure(
    _ trial: inout UnlabelledTrial, _ bytes: Int, _ held: Held?, _ cells: SpeedCells?, isTimed: Bool
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
    trial.agreement = try held.map { try agreement(of: graph, $0) }
    func milliseconds(_ cell: SpeedCells) throws -> [Double] {
      try cell.milliseconds(of: [context.original, graph], progress: context.progress).map { $0[0] }
    }
    if isTimed, let cells {
      let times = try milliseconds(cells.last)
      trial.speedup = times[0] / times[1]
    }
    guard let bound = goals.latency else { return nil }
    guard let cells else {
      throw SwiftletError(
        .badInput, "there are no samples to measure time with",
        fix: "give samples with --data inputs:FILE.npz")
    }
    let latencies = try milliseconds(cells.single)
    let most = bound.value(of: latencies[0])
    guard latencies[1] > most else { return nil }
    return (
      "\(ReportNumber.significant(latencies[1])) ms per sample, more than "
        + ReportNumber.significant(most), true
    )
  }
}
