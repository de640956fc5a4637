// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// What is to become of each layer, chosen over all layers at once.
struct Allocation {
  struct Decision {
    let method: DecompositionMethod
    let ranks: [Int]
  }

  /// By the layer's first output; absent: the layer is kept.
  private(set) var decisions: [String: Decision] = [:]
  /// What was not taken, by the layer's first output.
  private(set) var rejected: [String: [LayerReport.Alternative]] = [:]

  /// - Parameters:
  ///   - progress: Told of each candidate that is timed.
  ///   - examine: The candidates of a layer.
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
    // What costs no less than the layer itself is no option.
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

  /// The candidates that were not taken: of each method the one that comes closest.
  ///
  /// - Parameters:
  ///   - chosen: 0 for the layer itself, otherwise 1 + the position of the candidate; costs and
  ///     times are in this order.
  static func alternatives(
    _ candidates: [LayerCandidates.Candidate], _ chosen: Int, _ costs: [Double], _ times: [Double]
  ) -> [LayerReport.Alternative] {
    var result: [LayerReport.Alternative] = []
    if chosen > 0 {
      result.append(
        LayerReport.Alternative(
          choice: "keep", milliseconds: times[0], damage: 0, reason: "costs more than the budget"))
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
            ? "costs no less than the layer itself" : LayerReport.Alternative.moreDamage))
    }
    return result
  }
}
