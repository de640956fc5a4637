// SPDX-License-Identifier: Apache-2.0

import SwiftletCompress
import SwiftletCore
import SwiftletFiles
import Testing
import _SwiftletTestSupport

/// Choosing one option for each layer.
@Suite struct AllocatorTests {
  private func layers(_ generator: inout RandomGenerator) -> [[Allocator.Option]] {
    (0..<4).map { _ in
      let cost = 1 + 9 * Double(generator.uniform())
      return [Allocator.Option(cost: cost, damage: 0)]
        + (0..<4).map { _ in
          Allocator.Option(
            cost: cost * Double(generator.uniform()), damage: Double(generator.uniform()))
        }
    }
  }

  private func sums(
    _ layers: [[Allocator.Option]], _ chosen: [Int]
  ) -> (cost: Double, damage: Double) {
    zip(layers, chosen).reduce((0, 0)) {
      ($0.0 + $1.0[$1.1].cost, $0.1 + $1.0[$1.1].damage)
    }
  }

  /// The knapsack is as good as trying everything, but for the rounding of its costs.
  @Test(arguments: 0..<20)
  func theKnapsackFindsTheBest(seed: Int) throws {
    var generator = RandomGenerator(seed: UInt64(seed))
    let layers = layers(&generator)
    let allocator = Allocator(layers: layers)
    let budget = 0.6 * allocator.cost
    var best = Double.infinity
    for code in 0..<625 {
      let chosen = [code % 5, code / 5 % 5, code / 25 % 5, code / 125]
      let (cost, damage) = sums(layers, chosen)
      if cost <= 0.999 * budget { best = min(best, damage) }
    }
    let (cost, damage) = sums(layers, allocator.knapsack(budget: budget))
    #expect(cost <= budget && damage <= best + 1e-12)
    var coupled = CoupledAllocator(layers)
    let greedy = sums(layers, try coupled.greedy(budget: budget))
    #expect(greedy.damage >= damage - 1e-12 || greedy.cost > budget)
  }

  @Test func outOfReachTheCheapestIsTaken() throws {
    let allocator = Allocator(layers: [
      [.init(cost: 10, damage: 0), .init(cost: 5, damage: 1), .init(cost: 6, damage: 0.5)]
    ])
    #expect(allocator.knapsack(budget: 1) == [1])
    #expect(allocator.knapsack(budget: 0) == [1])
    #expect(allocator.knapsack(budget: 10) == [0])
    var coupled = CoupledAllocator(allocator.layers)
    #expect(try coupled.greedy(budget: 1) == [1])
    #expect(try coupled.exchanging(budget: 1) == [1])
    #expect(try coupled.greedy(budget: 10) == [0])
  }

  /// What is within the budget may still be cheaper for no more damage.
  @Test func nothingIsWasted() throws {
    let allocator = Allocator(layers: [
      [.init(cost: 10, damage: 0), .init(cost: 4, damage: 0), .init(cost: 1, damage: 0)],
      [.init(cost: 10, damage: 0), .init(cost: 5, damage: 0.1), .init(cost: 7, damage: 0.1)],
    ])
    for budget in [11.1, 20, 40] {
      #expect(allocator.knapsack(budget: budget) == [2, 0])
      var coupled = CoupledAllocator(allocator.layers)
      #expect(try coupled.greedy(budget: budget) == [2, 0])
      #expect(try coupled.exchanging(budget: budget) == [2, 0])
    }
    #expect(allocator.knapsack(budget: 8.5) == [2, 1])
  }

  @Test func timesAreKept() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/latency.json"
      let cache = LatencyCache(path: path)
      cache["a"] = 1.5
      cache.save()
      #expect(LatencyCache(path: path)["a"] == 1.5 && LatencyCache(path: path)["b"] == nil)
      // A later release may have faster kernels.
      #expect(LatencyCache.machine.contains(Release.version))
      let known = ["\(LatencyCache.machine) | a": 2.5]
      #expect(LatencyCache(known, of: LatencyCache.machine)["a"] == 2.5)
      let other = LatencyCache.machine(cpu: "other", isa: "avx2", version: "0.0.1")
      #expect(LatencyCache(known, of: other)["a"] == nil)
      // What was taken while the machine did other work counts in this run alone.
      cache.setDisturbed("b", 7)
      cache.save()
      #expect(cache["b"] == 7 && LatencyCache(path: path)["b"] == nil)
      #expect(cache.used["\(LatencyCache.machine) | b"] == 7)
      let text = String(decoding: try InputFile.read(path, limit: 1 << 20), as: UTF8.self)
      #expect(text.contains("b | under load"))
      #expect(try LatencyCache.forget(path) == 1 && LatencyCache(path: path)["a"] == nil)
      #expect(try LatencyCache.forget(path) == 0)
      try AtomicFile.write("{ not JSON", to: path)
      #expect(LatencyCache(path: path)["a"] == nil)
    }
  }
}
