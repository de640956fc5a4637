// SPDX-License-Identifier: Apache-2.0

/// Chooses one option for each layer, where each layer's cost is its own affair;
/// ``CoupledAllocator`` is for the others.
package struct Allocator {
  /// What a layer could become, and what that costs and does.
  package struct Option {
    package let cost: Double
    /// Noise in the model's answers, as a fraction of their power.
    package let damage: Double

    package init(cost: Double, damage: Double) { (self.cost, self.damage) = (cost, damage) }
  }

  /// For each layer its options; the first one is to leave it as it is.
  package let layers: [[Option]]

  package init(layers: [[Option]]) { self.layers = layers }

  /// What the layers cost as they are.
  package var cost: Double { layers.reduce(0) { $0 + $1[0].cost } }

  /// The least damage whose cost is within the budget: a multiple-choice knapsack, solved by
  /// dynamic programming over the cost in ``steps`` steps, each option's rounded up. If nothing is
  /// within the budget, the cheapest option of each layer.
  ///
  /// - Complexity: options · steps.
  package func knapsack(budget: Double) -> [Int] {
    guard budget > 0 else { return cheapest }
    let unit = budget / Double(Self.steps)
    // The least damage of the layers so far at most at each cost, and what the last one chose.
    var best = [Double](repeating: 0, count: Self.steps + 1)
    var choices: [[Int]] = []
    for options in layers {
      var next = [Double](repeating: .infinity, count: Self.steps + 1)
      var chosen = [Int](repeating: -1, count: Self.steps + 1)
      for (index, option) in options.enumerated() {
        let size = option.cost / unit
        guard size <= Double(Self.steps) else { continue }
        let need = Int(size.rounded(.up))
        for total in need...Self.steps where best[total - need] + option.damage < next[total] {
          next[total] = best[total - need] + option.damage
          chosen[total] = index
        }
      }
      best = next
      choices.append(chosen)
    }
    guard best[Self.steps].isFinite else { return cheapest }
    var (total, result) = (Self.steps, [Int](repeating: 0, count: layers.count))
    for layer in layers.indices.reversed() {
      let index = choices[layer][total]
      result[layer] = index
      total -= Int((layers[layer][index].cost / unit).rounded(.up))
    }
    return result.enumerated().map { withoutWaste($1, of: layers[$0]) }
  }

  /// The cheapest option that does no more damage than one: the budget is no aim.
  private func withoutWaste(_ index: Int, of options: [Option]) -> Int {
    options.indices.filter { options[$0].damage <= options[index].damage }
      .min { options[$0].cost < options[$1].cost } ?? index
  }

  private static let steps = 4096

  private var cheapest: [Int] {
    layers.map { options in options.indices.min { options[$0].cost < options[$1].cost } ?? 0 }
  }
}
