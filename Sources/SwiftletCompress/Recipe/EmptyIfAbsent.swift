/// A setting that is off or empty where a file does not name it, so that recipes and manifests that were written
/// before there was such a setting are read as before.
@propertyWrapper
public struct EmptyIfAbsent<Value: Emptiable & Sendable & Codable & Equatable>: Sendable, Codable,
  Equatable
{
  public var wrappedValue: Value

  public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

  public init(from decoder: any Decoder) throws {
    wrappedValue = try decoder.singleValueContainer().decode(Value.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue)
  }
}

/// What can be off or empty.
public protocol Emptiable {
  /// The value that is off or empty.
  init()
}

extension Bool: Emptiable {}
extension Array: Emptiable {}

extension KeyedDecodingContainer {
  /// What synthesized decoding calls for a setting of this kind.
  func decode<Value>(
    _ type: EmptyIfAbsent<Value>.Type, forKey key: Key
  ) throws -> EmptyIfAbsent<Value> {
    try decodeIfPresent(type, forKey: key) ?? EmptyIfAbsent(wrappedValue: Value())
  }
}
