// SPDX-License-Identifier: Apache-2.0

/// A number of decibels, −∞ if there is none because outputs are NaN or infinite: lower than any
/// number in comparisons. Encoded as `null`, since JSON has no infinity.
@propertyWrapper
public struct FiniteOrNull: Sendable, Codable, Equatable {
  /// The number; infinities and NaN are encoded as `null`, which is decoded as −∞.
  public var wrappedValue: Double

  /// Wraps a number.
  public init(wrappedValue: Double) { self.wrappedValue = wrappedValue }

  /// Decodes a number or `null`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = container.decodeNil() ? -.infinity : try container.decode(Double.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if wrappedValue.isFinite {
      try container.encode(wrappedValue)
    } else {
      try container.encodeNil()
    }
  }
}
