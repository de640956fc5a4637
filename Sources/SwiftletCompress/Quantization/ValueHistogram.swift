// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// How often values of each size occur, in bounded memory, however many values there are.
///
/// The width of a bin is a power of two, and bins begin at whole multiples of it, so that two
/// neighbours add up to one bin of twice the width. Whenever the range no longer fits into
/// ``binLimit`` bins, the width doubles. What comes out depends on the values alone, not on their
/// order, nor on how they were spread over several histograms that were merged.
package struct ValueHistogram: Sendable, Codable, Equatable {
  /// The most bins. A range takes more than half of them, once it holds several values.
  package static let binLimit = 4096

  /// The smallest and the largest value; 0 is always between them.
  package private(set) var lower: Float = 0
  package private(set) var upper: Float = 0
  /// How many values, and how many of them are exactly 0: those are in no bin.
  package private(set) var count = 0
  package private(set) var zeros = 0
  /// Values from 2^exponent · i up to 2^exponent · (i + 1) are in the bin i.
  private(set) var exponent = Self.leastExponent
  /// The number of the first bin.
  private(set) var first = 0
  package private(set) var bins: [Int] = [0]

  /// Finer bins would need factors that fp32 cannot hold.
  private static let leastExponent = -120

  package init() {}

  /// Counts all elements.
  ///
  /// - Precondition: They are finite.
  package mutating func add(_ tensor: Tensor<Float>) {
    let packed = tensor.contiguous()
    let values = packed.span
    var (low, high) = (lower, upper)
    for i in values.indices {
      low = min(low, values[i])
      high = max(high, values[i])
    }
    widen(low, high)
    let factor = Float(sign: .plus, exponent: -exponent, significand: 1)
    let offset = Int32(first)
    var zeros = 0
    var counts = bins.mutableSpan
    for i in values.indices {
      let value = values[i]
      let steps = value * factor
      // Conversion cuts towards 0; bins are numbered downwards.
      var bin = Int32(steps)
      if Float(bin) > steps { bin &-= 1 }
      counts[Int(bin &- offset)] += 1
      if value == 0 { zeros += 1 }
    }
    bins[-first] -= zeros
    count += values.count
    self.zeros += zeros
  }

  /// Counts all that another histogram has counted.
  package mutating func merge(_ other: ValueHistogram) {
    var other = other
    widen(other.lower, other.upper)
    other.widen(lower, upper)
    // Both have the same range now, hence the same bins.
    for i in bins.indices { bins[i] += other.bins[i] }
    count += other.count
    zeros += other.zeros
  }

  /// Makes room for values of the given range.
  private mutating func widen(_ low: Float, _ high: Float) {
    lower = min(lower, low)
    upper = max(upper, high)
    var target = exponent
    while span(at: target).count > Self.binLimit { target += 1 }
    let range = span(at: target)
    guard target != exponent || range.lowerBound != first || range.count != bins.count else {
      return
    }
    var wider = [Int](repeating: 0, count: range.count)
    for (index, count) in bins.enumerated() where count > 0 {
      wider[((first + index) >> (target - exponent)) - range.lowerBound] += count
    }
    (exponent, first, bins) = (target, range.lowerBound, wider)
  }

  /// The bins that the range takes at a width of 2^exponent.
  private func span(at exponent: Int) -> ClosedRange<Int> {
    let width = Double(sign: .plus, exponent: exponent, significand: 1)
    let limit = Double(1 << 40)
    func bin(_ value: Float) -> Int {
      Int(min(max((Double(value) / width).rounded(.down), -limit), limit))
    }
    return bin(lower)...bin(upper)
  }

  /// Visits the bins that are not empty: the middle of the values they can hold, and their count.
  package func forEachBin(_ body: (_ middle: Double, _ count: Double) -> Void) {
    let width = Double(sign: .plus, exponent: exponent, significand: 1)
    for (index, count) in bins.enumerated() where count > 0 {
      body((Double(first + index) + 0.5) * width, Double(count))
    }
  }

  /// Whether what a file says can be a histogram.
  package var isSound: Bool {
    lower.isFinite && upper.isFinite && lower <= 0 && upper >= 0 && zeros >= 0
      && Self.leastExponent...127 ~= exponent && bins.count <= Self.binLimit
      && bins.allSatisfy { 0...1 << 60 ~= $0 } && span(at: exponent).lowerBound == first
      && span(at: exponent).count == bins.count
      && bins.reduce(0.0) { $0 + Double($1) } + Double(zeros) == Double(count)
  }
}
