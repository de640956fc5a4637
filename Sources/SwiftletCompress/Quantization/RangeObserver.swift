// SPDX-License-Identifier: Apache-2.0

import RealModule

/// How the range of an activation is chosen from its calibration histogram. Values outside the
/// range are clipped.
public enum RangeObserver: String, Sendable, Codable, CaseIterable {
  /// From the smallest to the largest value: nothing is clipped.
  case minmax
  /// The range that holds the given percentage of the values; the rest is clipped, evenly at both
  /// ends.
  case percentile
  /// The range that minimizes the Kullback–Leibler divergence between the values and their 8-bit
  /// copies.
  case entropy
  /// The range that minimizes the mean squared error of rounding and clipping together.
  case mse
}

/// The range of values that 8 bits cover; it includes 0.
package struct ValueRange: Sendable, Equatable {
  package var lower: Float
  package var upper: Float

  package init(lower: Float, upper: Float) { (self.lower, self.upper) = (lower, upper) }
}

extension RangeObserver {
  /// The range that this observer chooses.
  ///
  /// - Parameters:
  ///   - percentile: Percentage of the values to keep (only `percentile`).
  ///   - type: The integer type of the values.
  package func range(
    _ histogram: ValueHistogram, percentile: Double, type: ActivationType
  ) -> ValueRange {
    let whole = ValueRange(lower: histogram.lower, upper: histogram.upper)
    guard whole.lower < whole.upper, histogram.count > histogram.zeros else { return whole }
    switch self {
    case .minmax: return whole
    case .percentile: return Self.percentile(histogram, keeping: percentile / 100)
    case .entropy:
      return Self.best(whole, histogram) { Divergence(histogram, $0, type).value }
    case .mse:
      return Self.best(whole, histogram) { Self.squaredError(histogram, $0, type) }
    }
  }

  /// A range, and the signal-to-noise ratio of the 8-bit values with the observer's range and with
  /// the whole range, in dB.
  package struct GuardedRange {
    package let range: ValueRange
    package let own, whole: Double
    /// Whether the whole range replaced the observer's.
    package var isWidened = false
  }

  /// The signal-to-noise ratio that is good enough, and the loss against the whole range that is
  /// tolerated otherwise, both in dB.
  private static let (enough, tolerated) = (30.0, 10.0)
  /// A percentile below this clips on purpose, so it is not guarded.
  private static let guardedPercentile = 99.9

  /// Like ``range(_:percentile:type:)``, but falls back to the whole range where the observer's
  /// would clip too much: compares the noise of clipping with that of coarser steps.
  package func guardedRange(
    _ histogram: ValueHistogram, percentile: Double, type: ActivationType
  ) -> GuardedRange {
    let own = range(histogram, percentile: percentile, type: type)
    let whole = ValueRange(lower: histogram.lower, upper: histogram.upper)
    func decibels(_ range: ValueRange) -> Double {
      var signal = 0.0
      histogram.forEachBin { value, count in signal += count * value * value }
      return SignalToNoise(signal: signal, noise: Self.squaredError(histogram, range, type))
        .finiteDecibels
    }
    let (kept, possible) = (decibels(own), decibels(whole))
    let isWanted = self == .percentile && percentile < Self.guardedPercentile
    guard !isWanted, kept < Self.enough, kept < possible - Self.tolerated else {
      return GuardedRange(range: own, own: kept, whole: possible)
    }
    return GuardedRange(range: whole, own: kept, whole: possible, isWidened: true)
  }

  private static func percentile(_ histogram: ValueHistogram, keeping share: Double) -> ValueRange {
    let width = Double(sign: .plus, exponent: histogram.exponent, significand: 1)
    // Each end clips its share, and 0 stays inside the range.
    let allowed = (1 - share) * Double(histogram.count)
    let sides = (histogram.lower < 0 ? 1.0 : 0) + (histogram.upper > 0 ? 1 : 0)
    func end(_ bins: some Sequence<Int>, _ edge: (Int) -> Double) -> Double? {
      var dropped = 0.0
      for (steps, bin) in bins.enumerated() {
        dropped += Double(bin)
        if dropped > allowed / sides { return edge(steps) }
      }
      return nil
    }
    let low = end(histogram.bins) { Double(histogram.first + $0) * width } ?? 0
    let high =
      end(histogram.bins.reversed()) {
        Double(histogram.first + histogram.bins.count - $0) * width
      } ?? 0
    return ValueRange(
      lower: min(0, max(histogram.lower, Float(low))),
      upper: max(0, min(histogram.upper, Float(high))))
  }

  /// The candidate range with the least cost: shrinks both ends together first, then each on its
  /// own. Of equals, the widest wins.
  private static func best(
    _ whole: ValueRange, _ histogram: ValueHistogram, _ cost: (ValueRange) -> Double
  ) -> ValueRange {
    let shares = (1...64).reversed().map { Float($0) / 64 }
    var (best, least) = (whole, Double.infinity)
    func consider(_ range: ValueRange) {
      let value = cost(range)
      if value < least { (best, least) = (range, value) }
    }
    for share in shares {
      consider(ValueRange(lower: whole.lower * share, upper: whole.upper * share))
    }
    if whole.lower < 0 && whole.upper > 0 {
      for share in shares {
        consider(ValueRange(lower: best.lower, upper: whole.upper * share))
      }
      for share in shares {
        consider(ValueRange(lower: whole.lower * share, upper: best.upper))
      }
    }
    return best
  }

  private static func squaredError(
    _ histogram: ValueHistogram, _ range: ValueRange, _ type: ActivationType
  ) -> Double {
    let grid = ActivationGrid(range, type)
    let (scale, low, high) = (Double(grid.scale), Double(grid.lowest), Double(grid.highest))
    var sum = 0.0
    histogram.forEachBin { value, count in
      let code = min(max((value / scale).rounded(.toNearestOrEven), low), high)
      let error = value - code * scale
      sum += count * error * error
    }
    return sum
  }
}

/// The Kullback–Leibler divergence between the values and their 8-bit copies.
///
/// In the first distribution, clipped values count at the ends of the range. In the second, they
/// are missing, and each step spreads its count evenly over its non-empty bins. Zeros are left out,
/// as every range represents them exactly.
///
/// - Source: Migacz, "8-bit inference with TensorRT", GTC 2017.
private struct Divergence {
  private(set) var value = 0.0

  init(_ histogram: ValueHistogram, _ range: ValueRange, _ type: ActivationType) {
    let grid = ActivationGrid(range, type)
    let (scale, low, high) = (Double(grid.scale), Double(grid.lowest), Double(grid.highest))
    let steps = Int(high - low) + 1
    var (sums, used) = ([Double](repeating: 0, count: steps), [Double](repeating: 0, count: steps))
    var inside: [(count: Double, step: Int)] = []
    var (below, above, total) = (0.0, 0.0, 0.0)
    histogram.forEachBin { middle, count in
      total += count
      let code = (middle / scale).rounded(.toNearestOrEven)
      if code < low {
        below += count
        return
      }
      if code > high {
        above += count
        return
      }
      let step = Int(code - low)
      sums[step] += count
      used[step] += 1
      inside.append((count, step))
    }
    guard !inside.isEmpty else {
      value = .infinity
      return
    }
    let kept = total - below - above
    inside[0].count += below
    inside[inside.count - 1].count += above
    for (count, step) in inside where count > 0 {
      value += count / total * Double.log(count / total / (sums[step] / used[step] / kept))
    }
  }
}
