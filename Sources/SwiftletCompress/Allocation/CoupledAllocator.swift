// SPDX-License-Identifier: Apache-2.0

/// Chooses one option for each unit where costs are shared: what a part costs depends on the
/// choices of several units, as a layer's time depends on the channels that it reads, on those that
/// it makes, and on how it is cut.
///
/// It goes by moves from the units as they are. A knapsack (``Allocator/knapsack(budget:)``) needs
/// to know what an option costs whatever else is chosen, and here there is no such number; a
/// dynamic program along the network would keep a state for every choice that is still read later,
/// and channels of residual branches are read all along. Moves need the costs next to the present
/// choice alone, so that few of all combinations are ever measured, and each of them once.
package struct CoupledAllocator {
  /// Of each unit the damage of its options: noise in the model's answers, as a fraction of their
  /// power. The first option is to leave the unit as it is.
  private let damages: [[Double]]
  /// Of each part the units that its cost depends on.
  private let parts: [[Int]]
  /// Of each unit the parts that depend on it.
  private let dependents: [[Int]]
  private let measure: (_ part: Int, _ options: [Int]) throws -> Double
  private var known: [Key: Double] = [:]

  /// What an exchange has to take from the damage, as a fraction.
  private static let worthwhile = 1e-3

  private struct Key: Hashable {
    let part: Int
    let options: [Int]
  }

  private struct Move {
    let unit, option: Int
    /// What it adds.
    let cost, damage: Double
  }

  /// - Parameter measure: What a part costs with these options of its units, in their order;
  ///   infinity where they do not go together. Asked once for each of them.
  package init(
    damages: [[Double]], parts: [[Int]],
    measure: @escaping (_ part: Int, _ options: [Int]) throws -> Double
  ) {
    (self.damages, self.parts, self.measure) = (damages, parts, measure)
    var dependents = [[Int]](repeating: [], count: damages.count)
    for (part, units) in parts.enumerated() { for unit in units { dependents[unit].append(part) } }
    self.dependents = dependents
  }

  /// Layers that cost what their own options cost.
  package init(_ layers: [[Allocator.Option]]) {
    self.init(damages: layers.map { $0.map(\.damage) }, parts: layers.indices.map { [$0] }) {
      layers[$0][$1[0]].cost
    }
  }

  /// What all parts cost together.
  package mutating func cost(_ chosen: [Int]) throws -> Double {
    var sum = 0.0
    for part in parts.indices { sum += try cost(of: part, chosen) }
    return sum
  }

  /// What one part costs.
  package mutating func cost(of part: Int, _ chosen: [Int]) throws -> Double {
    let key = Key(part: part, options: parts[part].map { chosen[$0] })
    if let known = known[key] { return known }
    let cost = try measure(part, key.options)
    known[key] = cost
    return cost
  }

  /// What options of some units would add to the cost.
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

  /// From the units as they are, step by step: the move that saves most for the damage that it
  /// adds, until the cost is within the budget or nothing saves any more.
  ///
  /// - Complexity: At most one pass over all options for each move; each lowers the cost.
  package mutating func greedy(budget: Double) throws -> [Int] {
    var chosen = [Int](repeating: 0, count: damages.count)
    var cost = try cost(chosen)
    // Sums of other order differ by less.
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

  /// With all moves that save something and damage nothing.
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

  /// ``greedy(budget:)``, and then exchanges as long as there are any: one unit gets a milder
  /// option, and if that is too dear another one a harsher one, so that together they do less
  /// damage within the budget. This takes back what the last move saved too much, and what later
  /// moves made needless.
  ///
  /// - Complexity: options² for each exchange, of which costs that are not known yet are measured
  ///   only where the sum of both moves promises to do.
  package mutating func exchanging(budget: Double) throws -> [Int] {
    var chosen = try greedy(budget: budget)
    let limit = max(budget, try cost(chosen))
    while let better = try exchange(chosen, limit) { chosen = better }
    return try takingFreeSavings(chosen)
  }

  /// The exchange that takes most from the damage; `nil` if none does.
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
      // What hardly damages less is not worth the cost.
      guard offer.damage < -Self.worthwhile * damage else { return nil }
      var moved = chosen
      for move in offer.moves { moved[move.unit] = move.option }
      if try self.cost(moved) <= limit { return moved }
    }
    return nil
  }
}
