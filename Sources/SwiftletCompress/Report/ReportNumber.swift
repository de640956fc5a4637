// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCharts

/// Formats numbers for reports: three significant digits, grouped thousands, suitable units.
package enum ReportNumber {
  /// A narrow no-break space, so that a number stays on one line.
  package static let gap = "\u{202F}"
  private static let minus = "\u{2212}"

  /// `12 948 480`.
  package static func count(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    var text = value < 0 ? minus : ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index).isMultiple(of: 3) { text += gap }
      text.append(digit)
    }
    return text
  }

  /// Three significant digits: `0.0923`, `1.38`, `12.9`, `16 300`.
  package static func significant(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    guard value != 0 else { return "0" }
    let size = abs(value)
    guard 1e-6..<1e15 ~= size else { return power(value) }
    var exponent = Int(Double.log10(size).rounded(.down))
    // A number that rounds up to the next power of ten has one more digit.
    if (size / Double.pow(10, exponent - 2)).rounded() >= 1000 { exponent += 1 }
    let text: String
    if exponent >= 2 {
      let unit = Double.pow(10, exponent - 2)
      text = count(Int((size / unit).rounded() * unit))
    } else {
      text = fixed(size, 2 - exponent)
    }
    return (value < 0 ? minus : "") + text
  }

  private static func power(_ value: Double) -> String {
    let (digits, exponent) = decimal(value, decimals: 2)
    return digits.isFinite ? "\(fixed(digits, 2))e\(exponent)" : "\(value)"
  }

  /// digits · 10^exponent, with 1 ≤ |digits| < 10 even after rounding to `decimals`.
  ///
  /// - Precondition: The value is finite and not 0.
  package static func decimal(
    _ value: Double, decimals: Int
  ) -> (digits: Double, exponent: Int) {
    var exponent = Int(Double.log10(abs(value)).rounded(.down))
    // The power of ten of a subnormal number overflows, so it is applied in two steps.
    func digits() -> Double {
      value / Double.pow(10, exponent / 2) / Double.pow(10, exponent - exponent / 2)
    }
    let unit = Double.pow(10, decimals)
    if (abs(digits()) * unit).rounded() >= 10 * unit { exponent += 1 }
    if (abs(digits()) * unit).rounded() < unit { exponent -= 1 }
    return (digits(), exponent)
  }

  /// A fixed number of decimals; a dash if the value is not finite or too large.
  package static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return "–" }
    let text = SwiftletCharts.fixed(value, decimals)
    return text.hasPrefix("-") ? minus + text.dropFirst() : text
  }

  /// A fraction in percent with two decimals: `90.68 %`.
  package static func percent(_ fraction: Double) -> String {
    fraction.isFinite ? "\(fixed(fraction * 100, 2))\(gap)%" : "–"
  }

  /// `90.1–91.2`, in percent.
  package static func range(_ interval: WilsonInterval) -> String {
    "\(fixed(interval.low * 100, 1))\u{2013}\(fixed(interval.high * 100, 1))"
  }

  /// Percentage points with their sign.
  package static func points(_ difference: Double) -> String {
    (difference > 0 ? "+" : "") + fixed(difference, 2)
  }

  /// `2.04 MB`: powers of 1000.
  package static func bytes(_ value: Int) -> String {
    scaled(Double(value), ["B", "kB", "MB", "GB", "TB"])
  }

  /// `12.9 M`: powers of 1000.
  package static func short(_ value: Int) -> String {
    scaled(Double(value), ["", "k", "M", "G", "T"])
  }

  private static func scaled(_ value: Double, _ units: [String]) -> String {
    var (value, index) = (value, 0)
    while abs(value) >= 999.5, index < units.count - 1 {
      (value, index) = (value / 1000, index + 1)
    }
    let text = index == 0 ? fixed(value, 0) : significant(value)
    return units[index].isEmpty ? text : text + gap + units[index]
  }

  /// A ratio as a factor: `1.38 × faster`, `1.05 × slower`, `the same`.
  package static func times(_ ratio: Double, _ more: String, _ less: String) -> String {
    guard ratio.isFinite, ratio > 0 else { return "–" }
    let factor = max(ratio, 1 / ratio)
    guard factor >= 1.005 else { return "the same" }
    return "\(significant(factor))\(gap)× \(ratio > 1 ? more : less)"
  }
}
