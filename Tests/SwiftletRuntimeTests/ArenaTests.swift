// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletRuntime
import Testing

/// Values that are alive at the same time lie apart, and others reuse their memory.
struct ArenaTests {
  @Test func lifetimesSpanTheFirstAndTheLastUse() {
    let lifetimes = Arena.lifetimes([[0, 1], [1, 3], [], [0]], values: 5)
    #expect(lifetimes == [0...3, 0...1, nil, 1...1, nil])
    #expect(Arena.lifetimes([], values: 2) == [nil, nil])
  }

  /// A chain of four layers: each value is read once, by the instruction after the one that wrote
  /// it.
  @Test func valuesReuseMemoryThatIsFree() {
    let arena = Arena(sizes: [64, 256, 128, 64], lifetimes: [0...1, 1...2, 2...3, 3...4])
    // By size: 256 at 0; 128 meets it in 2 and follows; the first 64 meets it in 1 and follows; the
    // last one meets only the 128, and fits before it.
    #expect(arena.offsets == [256, 0, 256, 0])
    #expect(arena.byteCount == 384)
  }

  @Test func gapsAreFilledFromTheFront() {
    // 512 and 384 lie side by side; 320 finds the place of the first one free again, and 128 fits
    // the gap that it leaves.
    let arena = Arena(sizes: [512, 384, 128, 320], lifetimes: [0...1, 0...3, 2...3, 2...2])
    #expect(arena.offsets == [0, 512, 320, 0])
    #expect(arena.byteCount == 896)
  }

  @Test func sizesAreRoundedUpToCacheLines() {
    let arena = Arena(sizes: [1, 65, 0], lifetimes: [0...0, 0...0, 0...0])
    #expect(arena.offsets == [128, 0, 0])
    #expect(arena.byteCount == 192)
  }

  @Test func unusedValuesTakeNothing() {
    let arena = Arena(sizes: [1 << 20, 64], lifetimes: [nil, 0...1])
    #expect(arena.offsets == [0, 0])
    #expect(arena.byteCount == 64)
    #expect(Arena(sizes: [], lifetimes: []).byteCount == 0)
  }

  @Test(arguments: 0..<200)
  func randomValues(seed: Int) {
    var numbers = RandomGenerator(seed: UInt64(seed))
    let count = 1 + numbers.below(30)
    let sizes = (0..<count).map { _ in 1 + numbers.below(2000) }
    let lifetimes = (0..<count).map { _ -> ClosedRange<Int>? in
      let start = numbers.below(20)
      return numbers.below(8) == 0 ? nil : start...start + numbers.below(6)
    }
    let arena = Arena(sizes: sizes, lifetimes: lifetimes)
    let used = (0..<count).filter { lifetimes[$0] != nil }
    func end(_ value: Int) -> Int { arena.offsets[value] + (sizes[value] + 63) / 64 * 64 }
    for first in used {
      #expect(arena.offsets[first] % 64 == 0)
      for second in used where second > first {
        let areApart = end(first) <= arena.offsets[second] || end(second) <= arena.offsets[first]
        #expect(areApart || !lifetimes[first]!.overlaps(lifetimes[second]!))
      }
    }
    #expect(arena.byteCount == used.map(end).max() ?? 0)
    // No less than what is alive at one time, no more than all values side by side.
    let alive = (0..<30).map { time in
      used.filter { lifetimes[$0]!.contains(time) }.reduce(0) { $0 + end($1) - arena.offsets[$1] }
    }
    #expect(arena.byteCount >= alive.max()!)
    #expect(arena.byteCount <= used.reduce(0) { $0 + end($1) - arena.offsets[$1] })
  }
}
