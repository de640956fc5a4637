// SPDX-License-Identifier: Apache-2.0

/// Chooses one option for each layer when the cost of a layer depends on its own option alone;
/// ``CoupledAllocator`` handles the other case.
package struct Allocator {
  /// One option for a layer.
  package struct Option {
    /// The layer's cost with this option, in any unit.
    package let cost: Double
    /// Noise-to-signal ratio of the model's outputs: power of the error over power of the outputs.
    package let damage: Double

    /// Creates an option from its cost and damage.
    package init(cost: Double, damage: Double) { (self.cost, self.damage) = (cost, damage) }
  }

  /// The options of each layer; the first one leaves the layer unchanged.
  package let layers: [[Option]]

  /// Creates an allocator for the given options of each layer, at least one per layer.
  package init(layers: [[Option]]) { self.layers = layers }

  /// Total cost of the unchanged layers.
  package var cost: Double { layers.reduce(0) { $0 + $1[0].cost } }

  /// Minimizes the total damage within the budget: a multiple-choice knapsack, solved by dynamic
  /// programming over the cost, discretized into ``steps`` steps and rounded up for each option. If
  /// no combination fits the budget, returns the cheapest option of each layer.
  ///
  /// - Parameter budget: The largest total cost, in the unit of ``Option/cost``.
  /// - Returns: For each layer the index of its option.
  /// - Complexity: O(options · steps).
  package func knapsack(budget: Double) -> [Int] {
    guard budget > 0 else { return cheapest }
    let unit = budget / Double(Self.steps)
    // The least damage of the layers so far for each total cost, and the option of the last one.
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

  /// The cheapest option with at most the damage of the given one: there is no need to spend the
  /// whole budget.
  private func withoutWaste(_ index: Int, of options: [Option]) -> Int {
    options.indices.filter { options[$0].damage <= options[index].damage }
      .min { options[$0].cost < options[$1].cost } ?? index
  }

  private static let steps = 4096

  private var cheapest: [Int] {
    layers.map { options in options.indices.min { options[$0].cost < options[$1].cost } ?? 0 }
  }
}
