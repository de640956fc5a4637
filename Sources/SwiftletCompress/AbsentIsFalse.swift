/// A setting that is off where a file does not name it, so that recipes and manifests that were written before
/// there was such a setting are read as before.
@propertyWrapper
public struct AbsentIsFalse: Sendable, Codable, Equatable {
  public var wrappedValue: Bool

  public init(wrappedValue: Bool) { self.wrappedValue = wrappedValue }

  public init(from decoder: any Decoder) throws {
    wrappedValue = try decoder.singleValueContainer().decode(Bool.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue)
  }
}

extension KeyedDecodingContainer {
  /// What synthesized decoding calls for a setting of this kind.
  func decode(_ type: AbsentIsFalse.Type, forKey key: Key) throws -> AbsentIsFalse {
    try decodeIfPresent(type, forKey: key) ?? AbsentIsFalse(wrappedValue: false)
  }
}
