import Logging
import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime
public import SwiftletTraining

/// A compressed model and what it costs and gains.
public struct CompressionResult: Sendable {
  public let graph: Graph
  public let recipe: Recipe
  public let layers: [LayerReport]
  public let before: ModelCost
  public let after: ModelCost
  public let accuracyBefore: Evaluation
  public let accuracyAfter: Evaluation
  /// Whether the difference between both accuracies means anything.
  public let paired: PairedTest
  /// Median milliseconds per image at batch 1 and images per second at batch 32, taken in turns.
  public let speedBefore: Speed
  public let speedAfter: Speed
  /// Times on one thread and on all, of single images and batches of 32.
  public let speeds: [SpeedRow]
  /// How the answers differ, class by class.
  public let confusion: Confusion?
  /// The models that were tried, if there were several.
  public let candidates: [Candidate]
  /// What was trained on the way.
  public let histories: [StageHistory]

  public struct Speed: Sendable, Codable {
    public let latencyMs: Double
    public let imagesPerSecond: Double
  }

  /// Points of top-1 accuracy lost, in percent.
  public var drop: Double { (accuracyBefore.top1 - accuracyAfter.top1) * 100 }
}

/// Applies recipes to models and judges the results.
public struct Compressor: Sendable {
  private let context: CompressionContext
  private let goals: Goals
  private let log = Logger.swiftlet("compress")

  public init(_ context: CompressionContext, goals: Goals = Goals()) {
    self.context = context
    self.goals = goals
  }

  /// Compresses the context's original model.
  ///
  /// Without goals the recipe is applied as it is. With goals the ratio of its factoring steps is
  /// varied: the mildest one that reaches the targets is taken; with `maxDrop` alone the strongest
  /// one that stays within it.
  ///
  /// - Throws: `unsupported` if no ratio reaches the goals; the message says what came closest.
  public func run(_ recipe: Recipe) throws -> CompressionResult {
    try recipe.validate()
    let (original, validation) = (context.original, try context.validation)
    let before = try ModelCost(original)
    let (accuracy, hits, choices) = try evaluate(original)
    log.notice("before: top-1 \(accuracy.top1), \(before.fileBytes) bytes, \(before.macs) MACs")
    let candidates = goals.isEmpty ? [recipe] : ladder(recipe)
    var failure = ""
    var tried = CandidateLog()
    for candidate in candidates {
      let (graph, layers) = try apply(candidate)
      let after = try ModelCost(graph)
      if let miss = missedCost(before, after) {
        failure = miss
        tried.add(candidate.label, bytes: after.fileBytes, reason: failure)
        continue
      }
      let (accuracyAfter, hitsAfter, choicesAfter) = try evaluate(graph)
      let paired = PairedTest(hits, hitsAfter)
      let drop = (accuracy.top1 - accuracyAfter.top1) * 100
      if let maxDrop = goals.maxDrop, drop > maxDrop {
        failure =
          "top-1 drops by \(rounded(drop)) points on \(paired.images) images, more than \(maxDrop)"
        tried.add(
          candidate.label, top1: accuracyAfter.top1,
          relativeTime: try CandidateLog.relativeTime(
            of: graph, to: original, threads: context.threads, progress: context.progress),
          bytes: after.fileBytes, reason: failure)
        continue
      }
      let speeds = try measure(original, graph)
      let (speedBefore, speedAfter) = summary(speeds)
      if let bound = goals.latency?.value(of: speedBefore.latencyMs),
        speedAfter.latencyMs > bound
      {
        failure = "\(rounded(speedAfter.latencyMs)) ms per image, more than \(rounded(bound))"
        tried.add(
          candidate.label, top1: accuracyAfter.top1,
          relativeTime: 1 / speeds[speeds.count - 1].ratio,
          bytes: after.fileBytes, reason: failure)
        continue
      }
      let last = speeds[speeds.count - 1]
      let chosen = Candidate(
        label: candidate.label, top1: accuracyAfter.top1, milliseconds: last.millisecondsAfter,
        bytes: after.fileBytes, chosen: true)
      return CompressionResult(
        graph: graph, recipe: candidate, layers: layers, before: before, after: after,
        accuracyBefore: accuracy, accuracyAfter: accuracyAfter, paired: paired,
        speedBefore: speedBefore, speedAfter: speedAfter, speeds: speeds,
        confusion: Confusion(
          labels: validation.labels, before: choices, after: choicesAfter,
          classCount: validation.classCount, names: validation.classNames),
        candidates: candidates.count > 1
          ? tried.candidates(milliseconds: last.millisecondsBefore, chosen: chosen) : [],
        histories: [])
    }
    throw SwiftletError(
      .unsupported, "the goals are out of reach of this recipe; last tried: \(failure)",
      mend: "allow more drop, ask for less, or add a technique such as distill")
  }

  /// Applies the steps of a recipe, and judges nothing.
  ///
  /// - Throws: As the passes; `badInput` for settings out of range.
  public func apply(_ recipe: Recipe) throws -> (graph: Graph, layers: [LayerReport]) {
    try recipe.validate()
    var graph = context.original
    var reports: [LayerReport] = []
    for step in recipe.steps {
      log.notice("\(step.technique.rawValue): \(step.summary)")
      let (next, layers) = try locating("technique \(step.technique.rawValue)") {
        try step.technique.pass(step).apply(to: graph, context)
      }
      graph = next
      reports += layers
    }
    return (graph, reports)
  }

  /// The recipe at several ratios, in the order in which they are tried.
  private func ladder(_ recipe: Recipe) -> [Recipe] {
    let factoring: Set<Technique> = [.svd, .lowrank, .eigen]
    guard recipe.steps.contains(where: { factoring.contains($0.technique) }) else {
      return [recipe]
    }
    let strongestFirst = [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    let hasTarget = goals.size != nil || goals.macs != nil || goals.latency != nil
    return (hasTarget ? strongestFirst.reversed() : strongestFirst).map { ratio in
      Recipe(
        recipe.steps.map { step in
          var step = step
          if factoring.contains(step.technique) { (step.ratio, step.energy) = (ratio, nil) }
          return step
        })
    }
  }

  private func missedCost(_ before: ModelCost, _ after: ModelCost) -> String? {
    if let bound = goals.size?.value(of: Double(before.fileBytes)), Double(after.fileBytes) > bound
    {
      return "\(after.fileBytes) bytes, more than \(Int(bound))"
    }
    if let bound = goals.macs?.value(of: Double(before.macs)), Double(after.macs) > bound {
      return "\(after.macs) MACs, more than \(Int(bound))"
    }
    return nil
  }

  private func evaluate(
    _ graph: Graph
  ) throws -> (evaluation: Evaluation, hits: [Bool], choices: [Int]) {
    try Evaluation.judge(
      graph, on: try context.validation, threads: context.threads, progress: context.progress)
  }

  /// Times both models in turns, so that a busy machine slows both alike; the largest batch on all
  /// threads comes last.
  private func measure(_ before: Graph, _ after: Graph) throws -> [SpeedRow] {
    let results = try SpeedCells.measure(
      [before, after], threads: SpeedCells.threads(upTo: context.threads.count), seconds: 0.3,
      progress: context.progress)
    return zip(results[0], results[1]).map { before, after in
      SpeedRow(
        threads: before.threads, batch: before.batch, millisecondsBefore: before.p50ms,
        millisecondsAfter: after.p50ms)
    }
  }

  /// Single images and batches on all threads.
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

extension Recipe {
  /// What tells the recipe from others of the same ladder.
  fileprivate var label: String {
    steps.first { [.svd, .lowrank, .eigen].contains($0.technique) }.map {
      $0.energy.map { "energy \($0)" } ?? "ratio \($0.ratio)"
    } ?? steps.map(\.technique.rawValue).joined(separator: ", ")
  }
}

extension CompressionStep {
  /// The settings that matter for the technique, for a person.
  var summary: String {
    let rank = energy.map { "energy \($0)" } ?? "ratio \(ratio)"
    return switch technique {
    case .svd, .lowrank: rank
    case .eigen: "\(rank), \(calibrationImages) images"
    case .quantize: "\(quantization.summary), \(calibrationImages) images"
    case .distill: "width \(width), \(epochs) epoch(s), temperature \(temperature), alpha \(alpha)"
    }
  }
}
