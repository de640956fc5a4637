// SPDX-License-Identifier: Apache-2.0

import SwiftletCompress
import SwiftletCore
import Synchronization
import Testing

/// Choosing where costs are shared. Nothing is timed: costs are given.
@Suite struct CoupledAllocatorTests {
  /// A chain of layers between groups of 8 channels each, of which a group keeps 8 − option: a
  /// layer costs what it reads times what it makes.
  private struct Network {
    let damages: [[Double]]
    let sizes: [Double]
    static let groups = 3

    init(seed: UInt64) {
      var generator = RandomGenerator(seed: seed)
      sizes = (0...Self.groups).map { _ in 1 + 4 * Double(generator.uniform()) }
      damages = (0..<Self.groups).map { _ in
        let scale = 0.1 + Double(generator.uniform())
        let power = 1 + 2 * Double(generator.uniform())
        return (0..<8).map { option in
          var damage = scale
          for _ in 0..<2 { damage *= Double(option) / 8 }
          return damage * power
        }
      }
    }

    /// Layer i reads group i − 1 and makes group i.
    var parts: [[Int]] {
      (0...Self.groups).map { [$0 - 1, $0].filter { (0..<Self.groups).contains($0) } }
    }

    func cost(_ part: Int, _ options: [Int]) -> Double {
      options.reduce(sizes[part]) { $0 * Double(8 - $1) / 8 }
    }

    func sums(_ chosen: [Int]) -> (cost: Double, damage: Double) {
      let cost = parts.indices.reduce(0) { $0 + self.cost($1, parts[$1].map { chosen[$0] }) }
      return (cost, damages.indices.reduce(0) { $0 + damages[$1][chosen[$1]] })
    }

    var allocator: CoupledAllocator {
      CoupledAllocator(damages: damages, parts: parts) { cost($0, $1) }
    }
  }

  /// Within the budget, no worse than step by step, and near the best of all combinations.
  @Test(arguments: 0..<20, [0.3, 0.6])
  func exchangesComeNearTheBest(seed: Int, share: Double) throws {
    let network = Network(seed: UInt64(seed))
    let budget = share * network.sums([0, 0, 0]).cost
    var best = Double.infinity
    for code in 0..<512 {
      let (cost, damage) = network.sums([code % 8, code / 8 % 8, code / 64])
      if cost <= budget { best = min(best, damage) }
    }
    var allocator = network.allocator
    let (cost, damage) = network.sums(try allocator.exchanging(budget: budget))
    let greedy = network.sums(try allocator.greedy(budget: budget))
    #expect(cost <= budget && greedy.cost <= budget)
    #expect(damage <= greedy.damage && damage >= best - 1e-12)
    #expect(damage <= 1.15 * best, "\(damage) against \(best)")
  }

  /// A group whose layers take channels in one block is not worth a single channel; the other one
  /// is cut, in spite of the damage.
  @Test func whatSavesNothingStaysWhole() throws {
    let damages = [[0, 0.001, 0.01], [0, 0.2, 0.5]]
    var allocator = CoupledAllocator(damages: damages, parts: [[0], [0, 1], [1]]) { part, options in
      part == 0 ? 4 : 4 - Double(options[options.count - 1])
    }
    #expect(try allocator.greedy(budget: 9) == [0, 2])
    #expect(try allocator.exchanging(budget: 9) == [0, 2])
    // Out of reach everything is done that saves, and nothing else.
    #expect(try allocator.exchanging(budget: 1) == [0, 2])
  }

  /// What removes a channel can make factors needless: they are taken back where the layer in one
  /// piece is cheaper then, and never combined with channels that they do not go with.
  @Test func movesSeeWhatEarlierOnesDid() throws {
    // Unit 0: channels; unit 1: factors. Whole 10, factored 7; narrow 3, narrow and factored 4.
    let costs = [[10.0, 7], [3, 4]]
    var allocator = CoupledAllocator(damages: [[0, 0.9], [0, 0.1]], parts: [[0, 1]]) {
      costs[$1[0]][$1[1]]
    }
    #expect(try allocator.greedy(budget: 8) == [0, 1])
    #expect(try allocator.greedy(budget: 3.5) == [1, 0])
    var apart = CoupledAllocator(damages: [[0, 0.9], [0, 0.1]], parts: [[0, 1]]) {
      $1 == [1, 1] ? .infinity : costs[$1[0]][$1[1]]
    }
    #expect(try apart.greedy(budget: 3.5) == [0, 1])
    #expect(try apart.exchanging(budget: 3.5) == [0, 1])
  }

  @Test func eachCombinationIsMeasuredOnce() throws {
    let network = Network(seed: 5)
    let asked = Mutex<[[Int]]>([])
    var allocator = CoupledAllocator(damages: network.damages, parts: network.parts) {
      part, options in
      asked.withLock { $0.append([part] + options) }
      return network.cost(part, options)
    }
    _ = try allocator.exchanging(budget: 0.3 * network.sums([0, 0, 0]).cost)
    let all = asked.withLock { $0 }
    #expect(Set(all).count == all.count && !all.isEmpty)
  }
}
