// SPDX-License-Identifier: Apache-2.0

/// A number with a fixed count of decimals, `1.50`; as Swift writes it where it has no such digits:
/// not finite, or of 1e15 and more.
package func fixed(_ value: Double, _ decimals: Int) -> String {
  guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
  var scale = 1
  for _ in 0..<decimals { scale *= 10 }
  guard abs(value) * Double(scale) < 9e18 else { return "\(value)" }
  let scaled = Int((abs(value) * Double(scale)).rounded())
  let sign = value < 0 && scaled > 0 ? "-" : ""
  guard decimals > 0 else { return "\(sign)\(scaled)" }
  let fraction = String(scaled % scale)
  return "\(sign)\(scaled / scale)." + String(repeating: "0", count: decimals - fraction.count)
    + fraction
}

/// The nearest number with the given count of decimals, which Swift then writes without more:
/// `0.123`, `2.0`.
package func rounded(_ value: Double, _ decimals: Int) -> Double {
  var scale = 1.0
  for _ in 0..<decimals { scale *= 10 }
  return (value * scale).rounded() / scale
}

/// A number with at most the given number of decimals, without trailing zeros: `1.5`, `2`.
package func trimmed(_ value: Double, _ decimals: Int) -> String {
  let text = fixed(value, decimals)
  guard decimals > 0, text.contains("."), !text.contains("e") else { return text }
  let digits = text.trimmingSuffix { $0 == "0" }
  return String(digits.last == "." ? digits.dropLast() : digits)
}

extension String {
  fileprivate func trimmingSuffix(while matches: (Character) -> Bool) -> Substring {
    prefix(count - reversed().prefix(while: matches).count)
  }
}
