// SPDX-License-Identifier: Apache-2.0

public import RealModule

/// The element types a tensor can hold.
public enum DType: String, Sendable, Hashable, CaseIterable {
  case float32, float64, int8, uint8, int16, uint16, int32, uint32, int64, uint64, bool
  // Types that are stored and converted, but not used in computations.
  case int4, uint4, int2, uint2
  case float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float4e2m1

  /// The Swift type of the elements.
  package var elementType: any TensorElement.Type {
    switch self {
    case .float32: Float.self
    case .float64: Double.self
    case .int8: Int8.self
    case .uint8: UInt8.self
    case .int16: Int16.self
    case .uint16: UInt16.self
    case .int32: Int32.self
    case .uint32: UInt32.self
    case .int64: Int64.self
    case .uint64: UInt64.self
    case .bool: Bool.self
    case .int4: Int4.self
    case .uint4: UInt4.self
    case .int2: Int2.self
    case .uint2: UInt2.self
    case .float8e4m3fn: Float8E4M3FN.self
    case .float8e4m3fnuz: Float8E4M3FNUZ.self
    case .float8e5m2: Float8E5M2.self
    case .float8e5m2fnuz: Float8E5M2FNUZ.self
    case .float4e2m1: Float4E2M1.self
    }
  }

  /// Bytes of one element in memory.
  public var byteCount: Int {
    switch self {
    case .int16, .uint16: 2
    case .float32, .int32, .uint32: 4
    case .float64, .int64, .uint64: 8
    default: 1
    }
  }

  /// Whether layers can compute with elements of this type.
  public var isFloat: Bool { self == .float32 || self == .float64 }

  /// Whether elements of this type are floating-point numbers, including storage-only types.
  var hasFractions: Bool { isFloat || compactType is any CompactFloat.Type }

  /// The compact type, if this is a storage-only type.
  package var compactType: (any CompactElement.Type)? { elementType as? any CompactElement.Type }

  /// Bits of one element in a file.
  package var bitCount: Int {
    switch self {
    case .int4, .uint4, .float4e2m1: 4
    case .int2, .uint2: 2
    default: byteCount * 8
    }
  }

  /// The size in a file of this many elements, in bytes; `nil` if it overflows.
  package func packedByteCount(_ count: Int) -> Int? {
    let (bits, overflow) = count.multipliedReportingOverflow(by: bitCount)
    return overflow ? nil : bits / 8 + (bits % 8 > 0 ? 1 : 0)
  }

  /// The smallest computable type that holds all values of this one.
  package var computable: DType {
    guard let compactType else { return self }
    guard let integer = compactType as? any CompactInteger.Type else { return .float32 }
    return integer.isSigned ? .int8 : .uint8
  }
}

/// A Swift type that can be an element of a ``Tensor``.
///
/// Any two types can be converted into each other: through `Double` if either is a floating-point
/// type, through `Int64` otherwise.
public protocol TensorElement: BitwiseCopyable, Sendable, Hashable {
  static var dtype: DType { get }
  static var zero: Self { get }
  static var one: Self { get }
  static func erase(_ tensor: Tensor<Self>) -> AnyTensor
  static func unerase(_ tensor: AnyTensor) -> Tensor<Self>?

  var asDouble: Double { get }
  /// The integer value; `UInt64` keeps only the bits.
  var asInt64: Int64 { get }
  /// The value truncated towards zero; integer types saturate at their bounds, and NaN becomes 0.
  init(converting value: Double)
  /// The value whose lowest bits are those of `value`.
  init(converting value: Int64)
}

/// An element type that layers compute in: `Float`, or `Double` for gradient checks.
public protocol FloatElement: TensorElement, Real, BinaryFloatingPoint {}

extension FloatElement {
  public static var one: Self { 1 }
  @inlinable public var asDouble: Double { Double(self) }
  @inlinable public var asInt64: Int64 { Int64(converting: asDouble) }
  @inlinable public init(converting value: Double) { self = Self(value) }
  @inlinable public init(converting value: Int64) { self = Self(value) }
}

/// An integer element type.
public protocol IntegerElement: TensorElement, FixedWidthInteger {}

extension IntegerElement {
  public static var one: Self { 1 }
  @inlinable public var asDouble: Double { Double(self) }
  @inlinable public var asInt64: Int64 { Int64(truncatingIfNeeded: self) }
  @inlinable public init(converting value: Double) {
    // Double(Self.max) may round up to the first number out of range.
    self =
      if value >= Double(Self.max) {
        Self.max
      } else if value <= Double(Self.min) {
        Self.min
      } else {
        value.isNaN ? 0 : Self(value)
      }
  }
  @inlinable public init(converting value: Int64) { self.init(truncatingIfNeeded: value) }
}

extension Float: FloatElement {
  public static var dtype: DType { .float32 }
  public static func erase(_ tensor: Tensor<Float>) -> AnyTensor { .float32(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Float>? {
    if case .float32(let t) = tensor { t } else { nil }
  }
}

extension Double: FloatElement {
  public static var dtype: DType { .float64 }
  public static func erase(_ tensor: Tensor<Double>) -> AnyTensor { .float64(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Double>? {
    if case .float64(let t) = tensor { t } else { nil }
  }
}

extension Int8: IntegerElement {
  public static var dtype: DType { .int8 }
  public static func erase(_ tensor: Tensor<Int8>) -> AnyTensor { .int8(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int8>? {
    if case .int8(let t) = tensor { t } else { nil }
  }
}

extension UInt8: IntegerElement {
  public static var dtype: DType { .uint8 }
  public static func erase(_ tensor: Tensor<UInt8>) -> AnyTensor { .uint8(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt8>? {
    if case .uint8(let t) = tensor { t } else { nil }
  }
}

extension Int16: IntegerElement {
  public static var dtype: DType { .int16 }
  public static func erase(_ tensor: Tensor<Int16>) -> AnyTensor { .int16(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int16>? {
    if case .int16(let t) = tensor { t } else { nil }
  }
}

extension UInt16: IntegerElement {
  public static var dtype: DType { .uint16 }
  public static func erase(_ tensor: Tensor<UInt16>) -> AnyTensor { .uint16(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt16>? {
    if case .uint16(let t) = tensor { t } else { nil }
  }
}

extension Int32: IntegerElement {
  public static var dtype: DType { .int32 }
  public static func erase(_ tensor: Tensor<Int32>) -> AnyTensor { .int32(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int32>? {
    if case .int32(let t) = tensor { t } else { nil }
  }
}

extension UInt32: IntegerElement {
  public static var dtype: DType { .uint32 }
  public static func erase(_ tensor: Tensor<UInt32>) -> AnyTensor { .uint32(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt32>? {
    if case .uint32(let t) = tensor { t } else { nil }
  }
}

extension Int64: IntegerElement {
  public static var dtype: DType { .int64 }
  public static func erase(_ tensor: Tensor<Int64>) -> AnyTensor { .int64(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int64>? {
    if case .int64(let t) = tensor { t } else { nil }
  }
}

extension UInt64: IntegerElement {
  public static var dtype: DType { .uint64 }
  public static func erase(_ tensor: Tensor<UInt64>) -> AnyTensor { .uint64(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt64>? {
    if case .uint64(let t) = tensor { t } else { nil }
  }
}

/// One byte per truth value, which is 0 or 1.
extension Bool: TensorElement {
  public static var dtype: DType { .bool }
  public static var zero: Bool { false }
  public static var one: Bool { true }
  public static func erase(_ tensor: Tensor<Bool>) -> AnyTensor { .bool(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Bool>? {
    if case .bool(let t) = tensor { t } else { nil }
  }
  @inlinable public var asDouble: Double { self ? 1 : 0 }
  @inlinable public var asInt64: Int64 { self ? 1 : 0 }
  @inlinable public init(converting value: Double) { self = value != 0 }
  @inlinable public init(converting value: Int64) { self = value != 0 }
}
