// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The positions of values in one piece of memory: those alive at the same time do not overlap.
///
/// The largest value comes first, each at the lowest offset that is free during its lifetime.
/// Quadratic in the number of values.
///
/// - Source: greedy by size, Pisarchyk & Lee 2020.
package struct Arena: Sendable {
  /// The offset of each value in bytes, a multiple of 64; 0 for values without a lifetime.
  package let offsets: [Int]
  /// The size of the memory in bytes, a multiple of 64.
  package let byteCount: Int

  /// - Parameters:
  ///   - sizes: The size of each value in bytes.
  ///   - lifetimes: The first and the last instruction that touch it, if any does.
  package init(sizes: [Int], lifetimes: [ClosedRange<Int>?]) {
    let sizes = sizes.map { $0.roundedUp(to: 64) }
    var offsets = [Int](repeating: 0, count: sizes.count)
    var placed: [Int] = []
    for value in sizes.indices.sorted(by: { (sizes[$0], $1) > (sizes[$1], $0) }) {
      guard let lifetime = lifetimes[value] else { continue }
      let neighbours = placed.filter { lifetimes[$0]!.overlaps(lifetime) }
        .sorted { offsets[$0] < offsets[$1] }
      var offset = 0
      for other in neighbours {
        if offset + sizes[value] <= offsets[other] { break }
        offset = max(offset, offsets[other] + sizes[other])
      }
      offsets[value] = offset
      placed.append(value)
    }
    self.offsets = offsets
    byteCount = placed.map { offsets[$0] + sizes[$0] }.max() ?? 0
  }

  /// The first and the last instruction that touch each value; `nil` if none does.
  ///
  /// - Parameter touched: The values that each instruction reads or writes, in order of execution.
  package static func lifetimes(_ touched: [[Int]], values: Int) -> [ClosedRange<Int>?] {
    var lifetimes = [ClosedRange<Int>?](repeating: nil, count: values)
    for (index, touched) in touched.enumerated() {
      for value in touched { lifetimes[value] = (lifetimes[value]?.lowerBound ?? index)...index }
    }
    return lifetimes
  }
}
