// SPDX-License-Identifier: Apache-2.0

/// A number of decibels that is −∞ where there is none, because answers are NaN or infinite: worse
/// than any number in every comparison. Files have `null` for it, as JSON knows no other word.
@propertyWrapper
public struct FiniteOrNull: Sendable, Codable, Equatable {
  public var wrappedValue: Double

  public init(wrappedValue: Double) { self.wrappedValue = wrappedValue }

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
