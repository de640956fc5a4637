// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// The decomposition chosen for each layer, with all layers considered together.
struct Allocation {
  /// How to factor one layer.
  struct Decision {
    let method: DecompositionMethod
    let ranks: [Int]
  }

  /// By the layer's first output; a layer without an entry is kept.
  private(set) var decisions: [String: Decision] = [:]
  /// The rejected alternatives, by the layer's first output.
  private(set) var rejected: [String: [LayerReport.Alternative]] = [:]

  /// Examines all layers and spends the budget of the settings on them.
  ///
  /// - Parameters:
  ///   - layers: The layers that may be factored.
  ///   - settings: The strategy, the cost measure and the budget (``AllocationSettings/share``).
  ///   - timer: Measures the cost of layers and chains.
  ///   - progress: Called for each candidate that is timed.
  ///   - examine: Returns the candidates of a layer.
  init(
    _ layers: [WeightedLayer], _ settings: any AllocationSettings, timer: LayerTimer,
    progress: Progress.Handler?, examine: (WeightedLayer) throws -> LayerCandidates
  ) throws {
    var examined: [LayerCandidates] = []
    var costs: [[Double]] = []
    var times: [[Double]] = []
    for layer in layers {
      let found = try examine(layer)
      examined.append(found)
      let chains: [FactorChain?] = [nil] + found.candidates.map(\.chain)
      times.append(
        try chains.enumerated().map { index, chain in
          try progress?(
            Progress("time", completed: index, total: chains.count, remark: layer.node.name))
          return try timer.milliseconds(layer, chain)
        })
      costs.append(try chains.map { try timer.cost(layer, $0) })
    }
    // Drop candidates that do not cost less than the layer itself.
    let options = zip(examined, costs).map { found, costs in
      costs.indices.filter { $0 == 0 || costs[$0] < costs[0] }.map { index in
        (
          index: index,
          option: Allocator.Option(
            cost: costs[index],
            damage: index == 0 ? 0 : found.weight * found.candidates[index - 1].error)
        )
      }
    }
    let allocator = Allocator(layers: options.map { $0.map(\.option) })
    let budget = settings.share * allocator.cost
    var coupled = CoupledAllocator(allocator.layers)
    let chosen =
      settings.allocation == .greedy
      ? try coupled.greedy(budget: budget) : allocator.knapsack(budget: budget)
    for (position, found) in examined.enumerated() {
      let name = found.layer.node.outputs[0]
      let index = options[position][chosen[position]].index
      if index > 0 {
        let candidate = found.candidates[index - 1]
        decisions[name] = Decision(method: candidate.method, ranks: candidate.ranks)
      }
      rejected[name] = Self.alternatives(
        found.candidates, index, costs[position], times[position])
    }
  }

  /// The rejected candidates: for each method, the one closest in cost to the choice.
  ///
  /// - Parameters:
  ///   - candidates: All candidates of the layer.
  ///   - chosen: 0 for the layer itself, otherwise 1 + the index of the candidate.
  ///   - costs: The costs, indexed like `chosen`.
  ///   - times: The milliseconds, indexed like `chosen`.
  static func alternatives(
    _ candidates: [LayerCandidates.Candidate], _ chosen: Int, _ costs: [Double], _ times: [Double]
  ) -> [LayerReport.Alternative] {
    var result: [LayerReport.Alternative] = []
    if chosen > 0 {
      result.append(
        LayerReport.Alternative(
          choice: "keep", milliseconds: times[0], damage: 0, reason: "exceeds the budget"))
    }
    for method in DecompositionMethod.allCases {
      let others = candidates.indices.filter {
        candidates[$0].method == method && $0 + 1 != chosen
      }
      let nearest = others.min {
        abs(costs[$0 + 1] - costs[chosen]) < abs(costs[$1 + 1] - costs[chosen])
      }
      guard let nearest else { continue }
      let candidate = candidates[nearest]
      result.append(
        LayerReport.Alternative(
          choice: candidate.name, milliseconds: times[nearest + 1], damage: candidate.error,
          reason: costs[nearest + 1] >= costs[0]
            ? "no cheaper than the layer itself" : LayerReport.Alternative.moreDamage))
    }
    return result
  }
}
