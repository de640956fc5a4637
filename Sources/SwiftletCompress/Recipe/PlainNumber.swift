// SPDX-License-Identifier: Apache-2.0

/// A number as a person writes it: whole ones without a fraction.
package func plain<Number>(_ number: Number) -> String {
  guard let value = number as? Double, value == value.rounded(), abs(value) < 1e15 else {
    return "\(number)"
  }
  return "\(Int(value))"
}
