// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore
import SwiftletKernels

/// An element type whose arithmetic never traps: integers wrap, as in other runtimes, and give 0
/// when divided by 0.
protocol NumberElement: TensorElement, Comparable, Numeric {
  func plus(_ other: Self) -> Self
  func minus(_ other: Self) -> Self
  func times(_ other: Self) -> Self
  func over(_ other: Self) -> Self
  /// The remainder with the sign of this number.
  func remainder(_ divisor: Self) -> Self
  func power(_ exponent: Self) -> Self
  /// Whether this is NaN; only floats have such values.
  var isNotANumber: Bool { get }
  static func total(_ values: Span<Self>) -> Self
  /// The lower and upper bound of all numbers: ±∞, or the bounds of the integer type.
  static var lowest: Self { get }
  static var highest: Self { get }
  static var leastFinite: Self { get }
  static var greatestFinite: Self { get }
}

extension NumberElement {
  /// The remainder with the sign of the divisor.
  @inline(__always)
  func modulo(_ divisor: Self) -> Self {
    let rest = remainder(divisor)
    return rest != .zero && (rest < .zero) != (divisor < .zero) ? rest.plus(divisor) : rest
  }
}

extension NumberElement where Self: IntegerElement {
  @inline(__always) func plus(_ other: Self) -> Self { self &+ other }
  @inline(__always) func minus(_ other: Self) -> Self { self &- other }
  @inline(__always) func times(_ other: Self) -> Self { self &* other }
  @inline(__always) func over(_ other: Self) -> Self {
    other == 0 ? 0 : dividedReportingOverflow(by: other).partialValue
  }
  @inline(__always) func remainder(_ divisor: Self) -> Self {
    divisor == 0 ? 0 : remainderReportingOverflow(dividingBy: divisor).partialValue
  }
  func power(_ exponent: Self) -> Self {
    if exponent < 0 {
      return self == 1 ? 1 : self.plus(1) == 0 ? (exponent & 1 == 0 ? 1 : self) : 0
    }
    var (result, factor, rest) = (Self.one, self, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result = result &* factor }
      factor = factor &* factor
      rest >>= 1
    }
    return result
  }
  var isNotANumber: Bool { false }
  static func total(_ values: Span<Self>) -> Self {
    var sum = Self.zero
    for i in values.indices { sum = sum &+ values[i] }
    return sum
  }
  static var lowest: Self { .min }
  static var highest: Self { .max }
  static var leastFinite: Self { .min }
  static var greatestFinite: Self { .max }
}

extension NumberElement where Self: KernelElement {
  @inline(__always) func plus(_ other: Self) -> Self { self + other }
  @inline(__always) func minus(_ other: Self) -> Self { self - other }
  @inline(__always) func times(_ other: Self) -> Self { self * other }
  @inline(__always) func over(_ other: Self) -> Self { self / other }
  @inline(__always) func remainder(_ divisor: Self) -> Self {
    truncatingRemainder(dividingBy: divisor)
  }
  /// Like C's `pow`; RealModule's is undefined for negative numbers and for 0⁰.
  func power(_ exponent: Self) -> Self {
    if exponent == 2 { return self * self }
    if exponent == 0 { return 1 }
    guard self < 0, exponent.rounded() == exponent else {
      if self == -.infinity, !exponent.isNaN { return exponent < 0 ? 0 : .infinity }
      return Self.pow(self, exponent)
    }
    let isOdd = abs(exponent.truncatingRemainder(dividingBy: 2)) == 1
    return isOdd ? -Self.pow(-self, exponent) : Self.pow(-self, exponent)
  }
  var isNotANumber: Bool { isNaN }
  static func total(_ values: Span<Self>) -> Self { sum(values) }
  static var lowest: Self { -infinity }
  static var highest: Self { infinity }
  static var leastFinite: Self { -greatestFiniteMagnitude }
  static var greatestFinite: Self { greatestFiniteMagnitude }
}

extension Float: NumberElement {}
extension Double: NumberElement {}
extension Int8: NumberElement {}
extension UInt8: NumberElement {}
extension Int16: NumberElement {}
extension UInt16: NumberElement {}
extension Int32: NumberElement {}
extension UInt32: NumberElement {}
extension Int64: NumberElement {}
extension UInt64: NumberElement {}

extension DType {
  /// The Swift type of the elements; `bool` has no numeric one.
  ///
  /// - Throws: `unsupported` for `bool`.
  func numberType() throws -> any NumberElement.Type {
    guard let type = elementType as? any NumberElement.Type else {
      throw SwiftletError(.unsupported, "arithmetic on \(self) is not supported")
    }
    return type
  }

  /// The Swift type of integer elements.
  ///
  /// - Throws: `unsupported` for other types.
  func integerType() throws -> any IntegerElement.Type {
    guard let type = elementType as? any IntegerElement.Type else {
      throw SwiftletError(.unsupported, "integer arithmetic on \(self) is not supported")
    }
    return type
  }
}
