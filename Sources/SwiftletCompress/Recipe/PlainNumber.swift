// SPDX-License-Identifier: Apache-2.0

/// A number as text; whole numbers have no fraction.
package func plain<Number>(_ number: Number) -> String {
  guard let value = number as? Double, value == value.rounded(), abs(value) < 1e15 else {
    return "\(number)"
  }
  return "\(Int(value))"
}
