// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftletCore
import SwiftletData
public import SwiftletGraph
import SwiftletRuntime
public import SwiftletTraining

/// A compressed model with its cost, accuracy and speed, before and after.
public struct CompressionResult: Sendable {
  /// The compressed model.
  public let graph: Graph
  /// The recipe that made it.
  public let recipe: Recipe
  /// What each step did to each layer.
  public let layers: [LayerReport]
  /// Cost of the original model.
  public let before: ModelCost
  /// Cost of the compressed model.
  public let after: ModelCost
  /// Accuracy of the original model on the validation images.
  public let accuracyBefore: Evaluation
  /// Accuracy of the compressed model on the same images.
  public let accuracyAfter: Evaluation
  /// A paired test of the difference between both accuracies.
  public let paired: PairedTest
  /// Speed of the original model, measured in alternation with the compressed one.
  public let speedBefore: Speed
  /// Speed of the compressed model.
  public let speedAfter: Speed
  /// Times for single images and batches of 32, on one thread and on all.
  public let speeds: [SpeedRow]
  /// How answers changed per class.
  public let confusion: Confusion?
  /// The models that were tried; empty if there was only one.
  public let candidates: [Candidate]
  /// Training histories of the steps that trained.
  public let histories: [StageHistory]
  /// Number of images available for training and calibration.
  public let trainingImages: Int
  /// Summary of the image preprocessing, marked if it was guessed.
  public let preprocessing: String
  /// Agreement of all outputs with the original's, for models with several outputs.
  public let agreement: Agreement?
  /// Confidence level of the bound on the accuracy drop, as a fraction.
  public let confidence: Double
  /// Reasons to doubt the figures, one sentence each.
  public let warnings: [String]
  /// The scores by the metric that models were judged by; `nil` for top-1 accuracy.
  public let metric: MetricReport?

  /// The speed of a model on all threads.
  public struct Speed: Sendable, Codable {
    /// Median milliseconds for a single image.
    public let latencyMs: Double
    /// Images per second in batches of 32.
    public let imagesPerSecond: Double
  }

  /// Drop in top-1 accuracy in percentage points, on the images that ``paired`` compares.
  public var drop: Double { paired.drop }
}

/// Applies recipes to models and judges the results.
public struct Compressor: Sendable {
  private(set) var context: CompressionContext
  let goals: Goals
  let stages: StageStore?
  private let log = Logger.swiftlet("compress")

  /// Creates a compressor.
  ///
  /// - Parameters:
  ///   - context: The original model and the data.
  ///   - goals: Targets to reach by varying the recipe's strength.
  ///   - stages: Where to keep the results of finished steps, so that later runs reuse them.
  public init(_ context: CompressionContext, goals: Goals = Goals(), stages: StageStore? = nil) {
    self.context = context
    self.goals = goals
    self.stages = stages
  }

  /// A recipe, the model it made, and that model's cost and score.
  private struct Trial {
    let recipe: Recipe
    let graph: Graph
    let notes: StageNotes
    let cost: ModelCost
    let judgement: Judgement
  }

  /// The original model's cost and answers.
  private struct Before {
    let cost: ModelCost
    let judgement: Judgement
    let classes: ClassAnswers
    /// Reasons to doubt the figures.
    let warnings: [String]
  }

  /// The compressor with a judge, which remembers what it computed for the original.
  ///
  /// - Parameter context: Replaces the compressor's own; `nil`: the same.
  func judging(
    for recipe: Recipe, in context: CompressionContext? = nil
  ) throws -> (compressor: Compressor, judge: Judge) {
    var own = self
    if let context { own.context = context }
    let mixes = recipe.steps.contains { $0[QuantizationSettings.self]?.mixedDrop != nil }
    let judge = try own.context.makeJudge(needsBound: goals.confidence != nil || mixes)
    own.context.judge = judge
    return (own, judge)
  }

  private func judgeOriginal(_ recipe: Recipe, _ judge: Judge) throws -> Before {
    let cost = try ModelCost(context.original, fileBytes: context.fileBytes)
    let judgement = try judge.judgeOriginal()
    let classes = try ClassAnswers(
      judgement, of: context.original, context, progress: context.progress)
    let score =
      judgement.otherScore.map { "\(judge.metric.name) \(judgement.metric.text(ofScore: $0)), " }
      ?? ""
    log.notice(
      """
      before: \(score)top-1 \(classes.evaluation.top1), \(cost.fileBytes) bytes, \(cost.macs) MACs
      """)
    let warnings = try doubts(classes, recipe)
    for warning in warnings { log.warning("\(warning)") }
    return Before(cost: cost, judgement: judgement, classes: classes, warnings: warnings)
  }

  /// Compresses the context's original model.
  ///
  /// Without goals, the recipe is applied unchanged. With goals, its strength is varied by
  /// bisection: the mildest strength that reaches the targets wins, or with `maxDrop` alone the
  /// strongest that stays within it. If interrupted, the search returns the best model found so
  /// far, if there is one.
  ///
  /// - Throws: `unsupported` if no strength reaches the goals; the message names the last miss.
  ///   `badInput` for an invalid recipe, or if the model's output does not hold scores of classes.
  public func run(_ recipe: Recipe) throws -> CompressionResult {
    try recipe.validate()
    try context.check(recipe)
    let (own, judge) = try judging(for: recipe)
    let before = try own.judgeOriginal(recipe, judge)
    var tried = CandidateLog()
    let found = try own.search(recipe) { candidate in
      let made = try own.make(candidate)
      let graph = try own.context.specified(made.graph)
      let trial = Trial(
        recipe: candidate, graph: graph, notes: made.notes, cost: try ModelCost(graph),
        judgement: try judge.judge(graph))
      return (trial, try own.missed(trial, before, &tried))
    }
    return try own.result(
      found.best, before, tried, label: found.best.recipe.label, varied: found.varied,
      // After an interruption the handler would throw again.
      progress: found.wasInterrupted ? nil : context.progress)
  }

  /// Compresses by a preset's recipe, or by some of its steps if that is better (``PresetChoice``):
  /// the result is no slower than the original or than the last step alone, and loses at most 2
  /// points of accuracy if any candidate does; of metrics that are not fractions, 2 % of the
  /// original's score. With goals, works like ``run(_:)``.
  ///
  /// - Throws: The errors of ``run(_:)``.
  public func run(preset recipe: Recipe) throws -> CompressionResult {
    guard goals.isEmpty else { return try run(recipe) }
    let (own, judge) = try judging(for: recipe)
    let before = try own.judgeOriginal(recipe, judge)
    var tried = CandidateLog()
    var trials: [Trial] = []
    var options: [PresetChoice.Option] = []
    for part in try own.parts(of: recipe) {
      let graph = try own.context.specified(part.graph)
      let judgement = try judge.judge(graph)
      let time = try CandidateLog.relativeTime(
        of: graph, to: context.original, threads: context.threads,
        progress: context.progress)
      let drop = PairedTest(before.judgement, judgement).drop
      trials.append(
        Trial(
          recipe: part.recipe, graph: graph, notes: part.notes, cost: try ModelCost(graph),
          judgement: judgement))
      options.append(
        PresetChoice.Option(
          speedup: 1 / time, accuracy: -drop,
          isAccurate: drop <= before.judgement.acceptableDrop))
    }
    let index = PresetChoice.index(options)
    for (position, trial) in trials.enumerated() where position != index {
      tried.add(
        trial.recipe.techniques, trial.judgement,
        relativeTime: options[position].speedup.map { 1 / $0 }, bytes: trial.cost.fileBytes,
        reason: "slower or less accurate")
    }
    let best =
      index.map { trials[$0] }
      ?? Trial(
        recipe: Recipe([]), graph: context.original, notes: StageNotes(), cost: before.cost,
        judgement: before.judgement)
    return try own.result(
      best, before, tried, label: best.recipe.techniques, varied: true,
      progress: context.progress)
  }

  /// Reasons to doubt the figures.
  private func doubts(_ before: ClassAnswers, _ recipe: Recipe) throws -> [String] {
    let validation = try context.validation
    var doubts = [
      GuessTest(
        hits: before.hits.count { $0 }, choices: before.choices, labels: validation.labels,
        classes: validation.classCount
      ).warning
    ].compactMap { $0 }
    let silent = before.choices.count { $0 < 0 }
    if silent > 0 {
      doubts.append(
        "the original gives only NaN for \(silent) of the \(validation.count) images: the drop is "
          + "that on the others")
    }
    if let scores = try context.scores, context.original.outputs.count > 1,
      recipe.steps.contains(where: \.settings.trains)
    {
      doubts.append(
        "only output '\(scores)' is trained; the others change with the layers they share")
    }
    return doubts
  }

  /// Which goal a trial misses, and whether it is a target that stronger compression would reach.
  typealias Miss = (reason: String, isTarget: Bool)

  /// Tries a recipe; with goals, at several strengths by bisection.
  ///
  /// - Parameter attempt: Makes a recipe's model, and returns the goal that it misses, if any.
  /// - Returns: The best trial that reaches all goals; after an interruption, the best so far.
  /// - Throws: `unsupported` if none reaches the goals.
  func search<Result>(
    _ recipe: Recipe, _ attempt: (Recipe) throws -> (trial: Result, miss: Miss?)
  ) throws -> (best: Result, varied: Bool, wasInterrupted: Bool) {
    var search = StrengthSearch(
      ladder: goals.isEmpty ? [recipe] : ladder(recipe), wantsMild: goals.hasTarget)
    var best: (trial: Result, label: String)?
    var failure = ""
    var wasInterrupted = false
    do {
      while let candidate = search.next {
        let (trial, miss) = try attempt(candidate)
        search.note(passed: miss == nil || goals.hasTarget && !miss!.isTarget)
        if let miss { failure = miss.reason } else { best = (trial, candidate.label) }
      }
    } catch let error as CancellationError {
      guard let best else { throw error }
      log.warning("interrupted: using the best so far, \(best.label)")
      wasInterrupted = true
    }
    guard let best else {
      throw SwiftletError(
        .unsupported, "this recipe does not reach the goals; last attempt: \(failure)",
        fix: "allow a larger drop, relax the goals, or add a technique such as distill")
    }
    return (best.trial, search.ladder.count > 1, wasInterrupted)
  }

  private func missed(
    _ trial: Trial, _ before: Before, _ tried: inout CandidateLog
  ) throws -> Miss? {
    let label = trial.recipe.label
    if let miss = goals.missedCost(before.cost, trial.cost) {
      tried.add(label, bytes: trial.cost.fileBytes, reason: miss)
      return (miss, true)
    }
    let time = try CandidateLog.relativeTime(
      of: trial.graph, to: context.original, threads: context.threads, progress: context.progress)
    func refuse(_ reason: String) {
      tried.add(
        label, trial.judgement, relativeTime: time, bytes: trial.cost.fileBytes, reason: reason)
    }
    if let bound = goals.latency {
      let (now, then) = summary(
        try measure(context.original, trial.graph, progress: context.progress))
      let most = bound.value(of: now.latencyMs)
      if then.latencyMs > most {
        let reason =
          "\(ReportNumber.significant(then.latencyMs)) ms per image, more than "
          + ReportNumber.significant(most)
        refuse(reason)
        return (reason, true)
      }
    }
    if let miss = try goals.missedScore(before.judgement, trial.judgement) {
      refuse(miss)
      return (miss, false)
    }
    return nil
  }

  private func result(
    _ trial: Trial, _ before: Before, _ tried: CandidateLog, label: String, varied: Bool,
    progress: Progress.Handler?
  ) throws -> CompressionResult {
    let validation = try context.validation
    let speeds = try measure(context.original, trial.graph, progress: progress)
    let (speedBefore, speedAfter) = summary(speeds)
    let last = speeds[speeds.count - 1]
    let classes = try ClassAnswers(trial.judgement, of: trial.graph, context, progress: progress)
    let chosen = Candidate(
      label: label, top1: classes.evaluation.top1,
      milliseconds: last.millisecondsAfter, bytes: trial.cost.fileBytes, chosen: true,
      score: trial.judgement.otherScore)
    let confidence =
      goals.confidence ?? trial.recipe.steps.compactMap(\.settings.confidence).last
      ?? PairedTest.confidence
    return CompressionResult(
      graph: trial.graph, recipe: trial.recipe, layers: trial.notes.layers, before: before.cost,
      after: trial.cost, accuracyBefore: before.classes.evaluation,
      accuracyAfter: classes.evaluation,
      paired: PairedTest(
        before.classes.hits, classes.hits, choices: before.classes.choices),
      speedBefore: speedBefore, speedAfter: speedAfter, speeds: speeds,
      confusion: Confusion(
        labels: validation.labels, before: before.classes.choices, after: classes.choices,
        classCount: validation.classCount, names: validation.classNames),
      candidates: varied
        ? tried.candidates(milliseconds: last.millisecondsBefore, chosen: chosen) : [],
      histories: trial.notes.histories, trainingImages: try context.training.count,
      preprocessing: try preprocessing(), agreement: try agreement(of: trial.graph),
      confidence: confidence, warnings: before.warnings,
      metric: MetricReport(before.judgement, trial.judgement, confidence: confidence))
  }

  private func preprocessing() throws -> String {
    let graph = context.original
    guard let preprocessing = try InputFeed(context.validation, for: graph).preprocessing else {
      return "none: the data are the model's input"
    }
    let summary = preprocessing.summary
    return Preprocessing.isStored(in: graph) ? summary : "\(summary) (guessed)"
  }

  /// Number of images on which the answers of all outputs are compared.
  private static let comparedImages = 1000

  private func agreement(of graph: Graph) throws -> Agreement? {
    guard context.original.outputs.count > 1 else { return nil }
    let source = try CalibrationSource(
      context.validation, for: context.original, limit: Self.comparedImages,
      threads: context.threads)
    return try Agreement.measure(context.original, graph, source, threads: context.threads)
  }

  /// Applies the steps of a recipe without judging the result.
  ///
  /// - Throws: The errors of the passes; `badInput` for settings out of range.
  public func apply(_ recipe: Recipe) throws -> (graph: Graph, layers: [LayerReport]) {
    let made = try make(recipe)
    return (made.graph, made.notes.layers)
  }

  func make(_ recipe: Recipe) throws -> StageResult {
    try recipe.validate()
    try check(recipe)
    var (made, taken) = (start, [CompressionStep]())
    for step in recipe.timedSteps {
      made = try advance(step, after: taken, from: made)
      taken.append(step)
    }
    return made
  }

  /// The model before any step.
  var start: StageResult { StageResult(graph: context.original) }

  /// - Throws: `unsupported` if a step needs labels and there are none.
  func check(_ recipe: Recipe) throws { try context.check(recipe) }

  /// Takes one step after the earlier ones, unless its result is stored from an earlier run.
  func advance(
    _ step: CompressionStep, after earlier: [CompressionStep], from before: StageResult
  ) throws -> StageResult {
    // Computed before the step, which may write to a file that it reads.
    let key = try stages?.key((earlier + [step])[...])
    if let key, var known = stages?.load(key) {
      log.notice("\(step.technique.rawValue): reused from an earlier run")
      known.graph.extents = context.original.extents
      return known
    }
    let samples = context.samples(step.settings.calibrationImages)
    log.notice("\(step.technique.rawValue): \(step.settings.summary(samples))")
    var made = before
    let time = try ContinuousClock().measure {
      let checkpoint = try key.flatMap { try stages?.checkpoint($0, for: step) }
      made = try locating("technique \(step.technique.rawValue)") {
        try apply(step, to: before, checkpoint)
      }
      checkpoint?.remove()
    }
    log.notice("\(step.technique.rawValue): took \(rounded(time / .seconds(1))) s")
    made.graph.extents = context.original.extents
    if let key { try stages?.save(made, key) }
    return made
  }

  private func apply(
    _ step: CompressionStep, to before: StageResult, _ checkpoint: CheckpointFile?
  ) throws -> StageResult {
    var context = context
    context.checkpoint = checkpoint
    var step = step
    try step.update { try $0.resolve(for: [context.original, before.graph]) }
    // Integer codes and scales cannot be decomposed or pruned, and integer layers would lose their
    // speed.
    if !step.settings.takesIntegers { try before.graph.requireFloats() }
    step.update { $0.follow(before.notes.layers) }
    let pass = step.pass
    var notes = before.notes
    let graph: Graph
    if let pass = pass as? any TrainingPass {
      let result = try pass.train(before.graph, context)
      graph = result.graph
      notes.layers += result.layers
      if let history = result.history {
        notes.histories.append(StageHistory(stage: step.technique.rawValue, history: history))
      }
    } else {
      let (next, layers) = try pass.apply(to: before.graph, context)
      graph = next
      notes.layers += layers
    }
    return StageResult(graph: graph, notes: notes)
  }

  /// The recipe at several strengths, strongest first.
  private func ladder(_ recipe: Recipe) -> [Recipe] {
    guard recipe.steps.contains(where: { $0.settings.strength != nil }) else { return [recipe] }
    return [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map { ratio in
      Recipe(recipe.steps.map { $0.varied(to: ratio) })
    }
  }

  private func measure(
    _ before: Graph, _ after: Graph, progress: Progress.Handler?
  ) throws -> [SpeedRow] {
    try SpeedCells(upTo: context.threads.count).rows(
      before: before, after: after, progress: progress)
  }

  /// Speeds for single images and for batches, on all threads.
  private func summary(
    _ speeds: [SpeedRow]
  ) -> (before: CompressionResult.Speed, after: CompressionResult.Speed) {
    let (single, batch) = (speeds[speeds.count - 2], speeds[speeds.count - 1])
    func speed(_ milliseconds: (SpeedRow) -> Double) -> CompressionResult.Speed {
      CompressionResult.Speed(
        latencyMs: milliseconds(single),
        imagesPerSecond: Double(batch.batch) / milliseconds(batch) * 1e3)
    }
    return (speed(\.millisecondsBefore), speed(\.millisecondsAfter))
  }

  private func rounded(_ value: Double) -> Double { (value * 1e3).rounded() / 1e3 }
}
