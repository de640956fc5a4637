// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// The candidate factorizations of a layer, with the error of its responses for each.
struct LayerCandidates {
  /// One factorization of the layer.
  struct Candidate {
    let method: DecompositionMethod
    let ranks: [Int]
    /// Squared error of the layer's responses as a fraction of their variance.
    let error: Double
    let chain: FactorChain

    /// Method and ranks: `tucker 24×32`.
    var name: String {
      "\(method.rawValue) \(ranks.map(String.init).joined(separator: "×"))"
    }
  }

  let layer: WeightedLayer
  let candidates: [Candidate]
  /// Share of the layer's error that reaches the model's outputs: their noise-to-signal ratio over
  /// that of the layer's responses.
  let weight: Double

  /// Tries all methods and ranks, and measures ``weight`` with the candidate whose error is closest
  /// to 0.05.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - methods: The methods to choose from.
  ///   - statistics: The layer's inputs and responses; `nil`: use the weights alone.
  ///   - graph: The graph that contains the layer.
  ///   - source: Samples for measuring ``weight``; `nil`: it is 1.
  ///   - context: Threads and progress.
  /// - Throws: `numerical` if an eigenvalue iteration does not converge.
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
          Progress("decompose", completed: candidates.count, remark: "\(layer.node.name), \(method)"))
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

  /// Drops candidates with more weights and no smaller error than another candidate of the same
  /// method: they are not faster either.
  private static func worthTiming(_ candidates: [Candidate]) -> [Candidate] {
    candidates.filter { own in
      !candidates.contains { other in
        guard other.method == own.method, other.error <= own.error else { return false }
        let (fewer, many) = (other.chain.weightCount, own.chain.weightCount)
        return other.error < own.error ? fewer <= many : fewer < many
      }
    }
  }

  /// Noise-to-signal ratio of the model's outputs if the layer's weights are replaced by the
  /// product of a chain.
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
