import Logging
import SwiftletCore
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
    let original = context.original
    let before = try ModelCost(original)
    let (accuracy, hits) = try evaluate(original)
    log.notice("before: top-1 \(accuracy.top1), \(before.fileBytes) bytes, \(before.macs) MACs")
    let candidates = goals.isEmpty ? [recipe] : ladder(recipe)
    var failure = ""
    for candidate in candidates {
      let (graph, layers) = try apply(candidate)
      let after = try ModelCost(graph)
      if let miss = missedCost(before, after) {
        failure = miss
        continue
      }
      let (accuracyAfter, hitsAfter) = try evaluate(graph)
      let paired = PairedTest(hits, hitsAfter)
      let drop = (accuracy.top1 - accuracyAfter.top1) * 100
      if let maxDrop = goals.maxDrop, drop > maxDrop {
        failure =
          "top-1 drops by \(rounded(drop)) points on \(paired.images) images, more than \(maxDrop)"
        continue
      }
      let (speedBefore, speedAfter) = try measure(original, graph)
      if let bound = goals.latency?.value(of: speedBefore.latencyMs),
        speedAfter.latencyMs > bound
      {
        failure = "\(rounded(speedAfter.latencyMs)) ms per image, more than \(rounded(bound))"
        continue
      }
      return CompressionResult(
        graph: graph, recipe: candidate, layers: layers, before: before, after: after,
        accuracyBefore: accuracy, accuracyAfter: accuracyAfter, paired: paired,
        speedBefore: speedBefore,
        speedAfter: speedAfter)
    }
    throw SwiftletError(
      .unsupported, "the goals are out of reach of this recipe; last tried: \(failure)",
      mend: "allow more drop, ask for less, or add a technique such as distill")
  }

  private func apply(_ recipe: Recipe) throws -> (graph: Graph, layers: [LayerReport]) {
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
  ) throws -> (evaluation: Evaluation, hits: [Bool]) {
    try Evaluation.judge(
      graph, on: context.validation, threads: context.threads, progress: context.progress)
  }

  /// Times both models in turns, so that a busy machine slows both alike.
  private func measure(
    _ before: Graph, _ after: Graph
  ) throws -> (CompressionResult.Speed, CompressionResult.Speed) {
    let threads = context.threads.count
    let sessions = try [before, after].map { try Session($0, threads: context.threads) }
    let candidates = try sessions.flatMap { session in
      try [1, 32].map { try Benchmark.Candidate(session, batch: $0, threads: threads) }
    }
    let results = try Benchmark.run(candidates, seconds: 0.5, progress: context.progress)
    func speed(_ first: Int) -> CompressionResult.Speed {
      CompressionResult.Speed(
        latencyMs: results[first].p50ms, imagesPerSecond: results[first + 1].imagesPerSecond)
    }
    return (speed(0), speed(2))
  }

  private func rounded(_ value: Double) -> Double { (value * 1e3).rounded() / 1e3 }
}

extension CompressionStep {
  /// The settings that matter for the technique, for a person.
  var summary: String {
    let rank = energy.map { "energy \($0)" } ?? "ratio \(ratio)"
    return switch technique {
    case .svd, .lowrank: rank
    case .eigen: "\(rank), \(calibrationImages) images"
    case .prune: "width \(width), \(calibrationImages) images"
    case .quantize: "\(quantization.summary), \(calibrationImages) images"
    case .distill: "width \(width), \(epochs) epoch(s), temperature \(temperature), alpha \(alpha)"
    }
  }
}
