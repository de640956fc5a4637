// SPDX-License-Identifier: Apache-2.0

import Glibc

extension LineChart {
  /// The visible part of an axis, and the positions of its labels.
  struct Axis {
    /// Positions, as logarithms on a logarithmic axis.
    let low, high: Double
    let ticks: [Double]
    private let scale: Scale

    /// - Parameters:
    ///   - values: Positions; non-finite ones are ignored.
    ///   - bounds: The limits of a linear axis, unless values lie beyond them.
    init(_ values: [Double], _ scale: Scale, within bounds: ClosedRange<Double>? = nil) {
      self.scale = scale
      let finite = values.filter { $0.isFinite && abs($0) < 1e300 }
      var (low, high) = (finite.min() ?? 0, finite.max() ?? 1)
      if high - low <= max(1e-12 * max(abs(low), abs(high)), 1e-200) {
        let room = abs(low) < 1e-100 ? 0.5 : abs(low) * 0.1
        (low, high) = (
          max(low - room, min(low, bounds?.lowerBound ?? -.infinity)),
          min(high + room, max(high, bounds?.upperBound ?? .infinity))
        )
      }
      var step = Self.roundStep((high - low) / 5)
      // There is nothing between two epochs, or between two ranks.
      if scale == .linear && finite.allSatisfy({ $0 == $0.rounded() }) { step = max(1, step) }
      if scale == .logarithmic && high - low < 2.5 {
        let places = Self.logarithmicPlaces(low, high)
        (self.low, self.high) = (places.first ?? low, places.last ?? high)
        ticks = places
        return
      }
      if scale == .logarithmic { step = max(1, step.rounded(.up)) }
      let (first, last) = ((low / step).rounded(.down), (high / step).rounded(.up))
      let places = stride(from: first, through: last, by: 1).map { $0 * step }.filter {
        bounds == nil || $0 >= min(low, bounds!.lowerBound) && $0 <= max(high, bounds!.upperBound)
      }
      (self.low, self.high) = (min(low, places.first ?? low), max(high, places.last ?? high))
      ticks = places
    }

    /// Round values in a range of less than a few powers of ten.
    private static func logarithmicPlaces(_ low: Double, _ high: Double) -> [Double] {
      let powers = Int(low.rounded(.down)) - 1...Int(high.rounded(.up))
      var values = powers.flatMap { power in [1, 2, 5].map { $0 * pow(10, Double(power)) } }
      if high - low < 0.6 {
        // Steps of equal width, where powers of ten would be too wide, if one lies below the values.
        let (least, most) = (pow(10, low), pow(10, high))
        let step = roundStep((most - least) / 4)
        let first = (least / step).rounded(.down)
        if first >= 1 { values = (0...8).map { (first + Double($0)) * step } }
      }
      let places = values.map(log10)
      let first = places.lastIndex { $0 <= low + 1e-9 } ?? 0
      let last = places.firstIndex { $0 >= high - 1e-9 } ?? places.count - 1
      return Array(places[first...max(first, last)])
    }

    /// 1, 2 or 5 times a power of ten, at least `step`.
    private static func roundStep(_ step: Double) -> Double {
      let power = pow(10, floor(log10(step)))
      return ([1, 2, 5].first { $0 * power >= step * 0.999 } ?? 10) * power
    }

    func label(_ place: Double) -> String {
      scale == .linear ? LineChart.number(place) : LineChart.significant(pow(10, place))
    }
  }

  /// At most four decimals, without trailing zeros.
  static func number(_ value: Double) -> String {
    let text = trimmed(value, 4)
    return text == "0" && value != 0 ? significant(value) : text
  }

  /// Three significant digits, for axes that span powers of ten: `0.02`, `500`, `2k`, `1.5M`,
  /// `2e-5`.
  static func significant(_ value: Double) -> String {
    guard value > 0, value.isFinite else {
      return value < 0 ? "-" + significant(-value) : value == 0 ? "0" : "\(value)"
    }
    let exponent = Int(floor(log10(value * (1 + 1e-12))))
    let digits = (value / pow(10, Double(exponent)) * 100).rounded() / 100
    switch exponent {
    case -3...2: return trimmed(digits * pow(10, Double(exponent)), 4)
    case 3...5: return trimmed(digits * pow(10, Double(exponent - 3)), 4) + "k"
    case 6...8: return trimmed(digits * pow(10, Double(exponent - 6)), 4) + "M"
    case 9...11: return trimmed(digits * pow(10, Double(exponent - 9)), 4) + "G"
    default: return "\(trimmed(digits, 4))e\(exponent)"
    }
  }
}
