// SPDX-License-Identifier: Apache-2.0

/// Chooses one option for each unit when costs are shared: the cost of a part depends on the
/// options of several units, as a layer's time depends on the channels it reads, on those it
/// writes, and on how it is factored.
///
/// The search is a sequence of moves that starts from the unchanged units. A knapsack
/// (``Allocator/knapsack(budget:)``) needs a cost for each option that holds whatever else is
/// chosen, which does not exist here. A dynamic program along the network would need a state for
/// every choice that a later layer still depends on, and the channels of residual branches stay
/// alive throughout. Moves only need costs in the neighbourhood of the current choice, so few of
/// all combinations are ever measured, each of them once.
package struct CoupledAllocator {
  /// Damage of each option of each unit: noise-to-signal ratio of the model's outputs. The first
  /// option leaves the unit unchanged.
  private let damages: [[Double]]
  /// The units that the cost of each part depends on.
  private let parts: [[Int]]
  /// The parts whose cost depends on each unit.
  private let dependents: [[Int]]
  private let measure: (_ part: Int, _ options: [Int]) throws -> Double
  private var known: [Key: Double] = [:]

  /// Fraction of the damage that an exchange has to remove.
  private static let worthwhile = 1e-3

  private struct Key: Hashable {
    let part: Int
    let options: [Int]
  }

  private struct Move {
    let unit, option: Int
    /// Changes of the total cost and damage.
    let cost, damage: Double
  }

  /// Creates an allocator that measures costs on demand.
  ///
  /// - Parameters:
  ///   - damages: Damage of each option of each unit; the first option leaves the unit unchanged.
  ///   - parts: The units that the cost of each part depends on.
  ///   - measure: Returns the cost of a part for the given options of its units, in their order, or
  ///     infinity if the options are incompatible. Called once for each combination.
  package init(
    damages: [[Double]], parts: [[Int]],
    measure: @escaping (_ part: Int, _ options: [Int]) throws -> Double
  ) {
    (self.damages, self.parts, self.measure) = (damages, parts, measure)
    var dependents = [[Int]](repeating: [], count: damages.count)
    for (part, units) in parts.enumerated() { for unit in units { dependents[unit].append(part) } }
    self.dependents = dependents
  }

  /// Layers whose cost depends only on their own option.
  package init(_ layers: [[Allocator.Option]]) {
    self.init(damages: layers.map { $0.map(\.damage) }, parts: layers.indices.map { [$0] }) {
      layers[$0][$1[0]].cost
    }
  }

  /// Total cost of all parts.
  ///
  /// - Parameter chosen: The option of each unit.
  package mutating func cost(_ chosen: [Int]) throws -> Double {
    var sum = 0.0
    for part in parts.indices { sum += try cost(of: part, chosen) }
    return sum
  }

  /// Cost of one part, measured at its first use.
  package mutating func cost(of part: Int, _ chosen: [Int]) throws -> Double {
    let key = Key(part: part, options: parts[part].map { chosen[$0] })
    if let known = known[key] { return known }
    let cost = try measure(part, key.options)
    known[key] = cost
    return cost
  }

  /// The change in total cost if some units get other options.
  private mutating func change(_ options: [(unit: Int, option: Int)], _ chosen: [Int]) throws
    -> Double
  {
    var moved = chosen
    for (unit, option) in options { moved[unit] = option }
    var sum = 0.0
    for part in Set(options.flatMap { dependents[$0.unit] }).sorted() {
      sum += try cost(of: part, moved) - cost(of: part, chosen)
    }
    return sum
  }

  private mutating func moves(from chosen: [Int]) throws -> [Move] {
    var result: [Move] = []
    for unit in damages.indices {
      for option in damages[unit].indices where option != chosen[unit] {
        let cost = try change([(unit, option)], chosen)
        guard cost.isFinite else { continue }
        let damage = damages[unit][option] - damages[unit][chosen[unit]]
        result.append(Move(unit: unit, option: option, cost: cost, damage: damage))
      }
    }
    return result
  }

  /// Starts from the unchanged units and repeats the move that saves the most cost per damage it
  /// adds, until the cost is within the budget or no move saves anything.
  ///
  /// - Returns: The option of each unit.
  /// - Complexity: At most one pass over all options per move; each move lowers the cost.
  package mutating func greedy(budget: Double) throws -> [Int] {
    var chosen = [Int](repeating: 0, count: damages.count)
    var cost = try cost(chosen)
    // Tolerance for sums in a different order.
    let rounding = 1e-9 * cost
    while cost > budget {
      func gain(_ move: Move) -> Double { -move.cost / max(1e-12, move.damage) }
      let best = try moves(from: chosen).filter { $0.cost < -rounding }
        .max { gain($0) < gain($1) }
      guard let best else { break }
      chosen[best.unit] = best.option
      cost = try self.cost(chosen)
    }
    return try takingFreeSavings(chosen)
  }

  /// Adds all moves that save cost without adding damage.
  private mutating func takingFreeSavings(_ start: [Int]) throws -> [Int] {
    var chosen = start
    let rounding = 1e-9 * (try cost(chosen))
    while let best = try moves(from: chosen).filter({ $0.cost < -rounding && $0.damage <= 0 })
      .min(by: { $0.cost < $1.cost })
    {
      chosen[best.unit] = best.option
    }
    return chosen
  }

  /// Runs ``greedy(budget:)``, then exchanges as long as that reduces the damage within the budget:
  /// one unit gets a milder option and, if necessary, another one a harsher option. This undoes
  /// excess savings of the last move, and earlier moves that later ones made unnecessary.
  ///
  /// - Returns: The option of each unit.
  /// - Complexity: O(options²) per exchange; unknown costs are measured only if the sum of both
  ///   moves is promising.
  package mutating func exchanging(budget: Double) throws -> [Int] {
    var chosen = try greedy(budget: budget)
    let limit = max(budget, try cost(chosen))
    while let better = try exchange(chosen, limit) { chosen = better }
    return try takingFreeSavings(chosen)
  }

  /// The exchange that reduces the damage most; `nil` if there is none.
  private mutating func exchange(_ chosen: [Int], _ limit: Double) throws -> [Int]? {
    let cost = try cost(chosen)
    let damage = damages.indices.reduce(0) { $0 + damages[$1][chosen[$1]] }
    let moves = try moves(from: chosen)
    var offers: [(damage: Double, moves: [Move])] = []
    for first in moves where first.damage < 0 {
      if cost + first.cost <= limit { offers.append((first.damage, [first])) }
      for second in moves where second.unit != first.unit {
        let sum = first.damage + second.damage
        if sum < 0, cost + first.cost + second.cost <= limit {
          offers.append((sum, [first, second]))
        }
      }
    }
    for offer in offers.sorted(by: { $0.damage < $1.damage }) {
      // A negligible reduction is not worth the cost.
      guard offer.damage < -Self.worthwhile * damage else { return nil }
      var moved = chosen
      for move in offer.moves { moved[move.unit] = move.option }
      if try self.cost(moved) <= limit { return moved }
    }
    return nil
  }
}
