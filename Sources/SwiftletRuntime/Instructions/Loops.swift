// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Nested loops over a result and up to two operands in strided memory.
struct Loops: Sendable {
  /// A loop's number of steps, and the bytes that each step moves on in the result and in the
  /// operands.
  struct Loop: Sendable {
    var extent: Int
    var y: Int
    var a = 0
    var b = 0
  }

  /// The outermost first.
  private(set) var loops: [Loop]

  /// - Parameter loops: In any order. They are sorted by the result's strides, and those that
  ///   continue each other become one.
  init(_ loops: [Loop]) {
    let sorted = loops.filter { $0.extent != 1 }.sorted { $0.y > $1.y }
    var merged: [Loop] = []
    for loop in sorted {
      guard let last = merged.last, last.y == loop.y * loop.extent,
        last.a == loop.a * loop.extent, last.b == loop.b * loop.extent
      else {
        merged.append(loop)
        continue
      }
      merged[merged.count - 1] = Loop(
        extent: last.extent * loop.extent, y: loop.y, a: loop.a, b: loop.b)
    }
    self.loops = merged
  }

  /// Removes the innermost loop, or one that repeats nothing.
  mutating func popInnermost(orElse single: Loop) -> Loop { loops.popLast() ?? single }

  /// Removes the innermost loop that satisfies a condition.
  mutating func pop(where isFitting: (Loop) -> Bool) -> Loop? {
    loops.lastIndex(where: isFitting).map { loops.remove(at: $0) }
  }

  /// The number of times that the body of all loops runs.
  var count: Int { loops.reduce(1) { $0 * $1.extent } }

  /// Calls the body with the offsets of some of its runs.
  func forEach(_ items: Range<Int>, _ body: (_ y: Int, _ a: Int, _ b: Int) -> Void) {
    guard !items.isEmpty else { return }
    var positions = [Int](repeating: 0, count: loops.count)
    var (y, a, b) = (0, 0, 0)
    var rest = items.lowerBound
    for (index, loop) in loops.enumerated().reversed() {
      positions[index] = rest % loop.extent
      rest /= loop.extent
      y += positions[index] * loop.y
      a += positions[index] * loop.a
      b += positions[index] * loop.b
    }
    for item in items {
      body(y, a, b)
      guard item + 1 < items.upperBound else { return }
      for (index, loop) in loops.enumerated().reversed() {
        positions[index] += 1
        (y, a, b) = (y + loop.y, a + loop.a, b + loop.b)
        if positions[index] < loop.extent { break }
        positions[index] = 0
        (y, a, b) = (y - loop.extent * loop.y, a - loop.extent * loop.a, b - loop.extent * loop.b)
      }
    }
  }
}
