// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// All that a layer could become, with the error of its responses for each.
struct LayerCandidates {
  struct Candidate {
    let method: DecompositionMethod
    let ranks: [Int]
    /// Of the layer's responses, over their variance.
    let error: Double
    let chain: FactorChain

    /// `tucker 24×32`.
    var name: String {
      "\(method.rawValue) \(ranks.map(String.init).joined(separator: "×"))"
    }
  }

  let layer: WeightedLayer
  let candidates: [Candidate]
  /// How much of the layer's error arrives at the model's answers: noise over signal there, over
  /// noise over signal here.
  let weight: Double

  /// - Parameters:
  ///   - methods: What to choose among.
  ///   - statistics: What the layer sees; `nil` judges by the weights alone.
  init(
    _ layer: WeightedLayer, _ methods: [DecompositionMethod], _ statistics: LayerStatistics?,
    in graph: Graph, _ source: CalibrationSource?, _ context: CompressionContext
  ) throws {
    let problem = DecompositionProblem(
      layer, covariance: statistics?.windows.covariance, threads: context.threads)
    self.layer = layer
    var candidates: [Candidate] = []
    var middle: FittedChain?
    for method in methods {
      guard let prepared = try method.prepare(problem) else { continue }
      var grid = prepared.grid
      if let exact = try prepared.exactRanks(), !grid.contains(exact) { grid.append(exact) }
      for ranks in grid where prepared.permits(ranks) {
        try context.progress?(
          Progress("try", completed: candidates.count, remark: "\(layer.node.name), \(method)"))
        let fitted = try prepared.fitted(ranks)
        candidates.append(
          Candidate(
            method: method, ranks: ranks,
            error: problem.isExact(fitted) ? 0 : fitted.error,
            chain: fitted.chain(bias: layer.bias)))
        if fitted.error > 1e-4,
          middle == nil || abs(fitted.error - 0.05) < abs(middle!.error - 0.05)
        {
          middle = fitted
        }
      }
    }
    self.candidates = Self.worthTiming(candidates)
    guard let middle, let source else {
      weight = 1
      return
    }
    weight = try Self.damage(middle, layer, graph, source, context) / middle.error
  }

  /// Without those that take more weights than another one of the same method and err no less: of
  /// one method they are not faster either.
  private static func worthTiming(_ candidates: [Candidate]) -> [Candidate] {
    candidates.filter { own in
      !candidates.contains { other in
        guard other.method == own.method, other.error <= own.error else { return false }
        let (fewer, many) = (other.chain.weightCount, own.chain.weightCount)
        return other.error < own.error ? fewer <= many : fewer < many
      }
    }
  }

  /// Noise over signal of the model's answers with the layer's weights replaced by those of a
  /// chain.
  private static func damage(
    _ chain: FittedChain, _ layer: WeightedLayer, _ graph: Graph, _ source: CalibrationSource,
    _ context: CompressionContext
  ) throws -> Double {
    var changed = graph
    try FactorChain(
      stages: [
        FactorChain.Stage(
          weights: chain.product(context.threads).converted(to: Float.self).reshaped(
            to: layer.weight.shape), steps: .all)
      ], bias: layer.bias
    ).write(layer, to: &changed)
    changed.removeUnusedInitializers()
    let agreement = try Agreement.measure(
      graph, changed, source, threads: context.threads, progress: context.progress)
    return agreement.noiseToSignal
  }
}
