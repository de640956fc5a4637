// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

/// A histogram of any number of values in bounded memory.
///
/// Bin widths are powers of two, and bins start at multiples of their width, so that two neighbours
/// merge into one bin of twice the width. When the range no longer fits into ``binLimit`` bins, the
/// width doubles. The result depends only on the values, not on their order or on how they were
/// split over merged histograms.
package struct ValueHistogram: Sendable, Codable, Equatable {
  /// Maximum number of bins. More than half of them are in use once there are several values.
  package static let binLimit = 4096

  /// The smallest and the largest value, or 0 if that is beyond.
  package private(set) var lower: Float = 0
  package private(set) var upper: Float = 0
  /// Number of values, and number of those that are exactly 0, which are in no bin.
  package private(set) var count = 0
  package private(set) var zeros = 0
  /// Bin i holds values from 2^exponent · i up to, but not including, 2^exponent · (i + 1).
  private(set) var exponent = Self.leastExponent
  /// The index i of the first bin.
  private(set) var first = 0
  /// Counts of the bins from ``first`` on.
  package private(set) var bins: [Int] = [0]

  /// Finer bins would need factors that fp32 cannot represent.
  private static let leastExponent = -120

  package init() {}

  /// Counts all elements of a tensor.
  ///
  /// - Precondition: The elements are finite.
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
      // Conversion truncates, but bins round down.
      var bin = Int32(steps)
      if Float(bin) > steps { bin &-= 1 }
      counts[Int(bin &- offset)] += 1
      if value == 0 { zeros += 1 }
    }
    bins[-first] -= zeros
    count += values.count
    self.zeros += zeros
  }

  /// Adds the counts of another histogram.
  package mutating func merge(_ other: ValueHistogram) {
    var other = other
    widen(other.lower, other.upper)
    other.widen(lower, upper)
    // Both have the same range now, so the same bins.
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

  /// The indices of the bins that cover the range at a width of 2^exponent.
  private func span(at exponent: Int) -> ClosedRange<Int> {
    let width = Double(sign: .plus, exponent: exponent, significand: 1)
    let limit = Double(1 << 40)
    func bin(_ value: Float) -> Int {
      Int(min(max((Double(value) / width).rounded(.down), -limit), limit))
    }
    return bin(lower)...bin(upper)
  }

  /// Visits the non-empty bins, with their middle and their count.
  package func forEachBin(_ body: (_ middle: Double, _ count: Double) -> Void) {
    let width = Double(sign: .plus, exponent: exponent, significand: 1)
    for (index, count) in bins.enumerated() where count > 0 {
      body((Double(first + index) + 0.5) * width, Double(count))
    }
  }

  /// Whether a decoded histogram is consistent.
  package var isSound: Bool {
    lower.isFinite && upper.isFinite && lower <= 0 && upper >= 0 && zeros >= 0
      && Self.leastExponent...127 ~= exponent && bins.count <= Self.binLimit
      && bins.allSatisfy { 0...1 << 60 ~= $0 } && span(at: exponent).lowerBound == first
      && span(at: exponent).count == bins.count
      && bins.reduce(0.0) { $0 + Double($1) } + Double(zeros) == Double(count)
  }
}
