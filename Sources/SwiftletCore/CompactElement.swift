// SPDX-License-Identifier: Apache-2.0

/// An element type of at most eight bits that is stored, moved and converted, but not used in
/// computations: the small integers and floats of quantized models.
///
/// Each element takes one byte in memory; in files several may share one.
public protocol CompactElement: TensorElement {
  /// Bits of one element in a file: 2, 4 or 8.
  static var bitWidth: Int { get }
  /// The bits of the element, in the lowest positions.
  var bits: UInt8 { get }
  /// The element with the lowest bits of `bits`.
  init(bits: UInt8)
}

// MARK: - Integers

/// An integer of two or four bits. Conversions truncate integers to the lowest bits and saturate
/// floats.
public protocol CompactInteger: CompactElement {
  static var isSigned: Bool { get }
}

extension CompactInteger {
  static var mask: UInt8 { 1 << UInt8(bitWidth) - 1 }
  /// The lowest and the highest value.
  public static var range: ClosedRange<Int> {
    let count = 1 << bitWidth
    return isSigned ? -count / 2...count / 2 - 1 : 0...count - 1
  }

  public static var zero: Self { Self(bits: 0) }
  public static var one: Self { Self(bits: 1) }
  public var asInt64: Int64 {
    let value = Int64(bits)
    return Self.isSigned && value >> Int64(Self.bitWidth - 1) == 1
      ? value - (1 << Int64(Self.bitWidth)) : value
  }
  public var asDouble: Double { Double(asInt64) }
  public init(converting value: Int64) { self.init(bits: UInt8(truncatingIfNeeded: value)) }
  public init(converting value: Double) {
    let bounded = max(Double(Self.range.lowerBound), min(Double(Self.range.upperBound), value))
    self.init(converting: value.isNaN ? 0 : Int64(bounded))
  }
}

/// A signed integer of 4 bits, −8…7 in two's complement.
public struct Int4: CompactInteger {
  public static let bitWidth = 4
  public static let isSigned = true
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits & Self.mask }

  public static var dtype: DType { .int4 }
  public static func erase(_ tensor: Tensor<Int4>) -> AnyTensor { .int4(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int4>? {
    if case .int4(let t) = tensor { t } else { nil }
  }
}

/// An unsigned integer of 4 bits, 0…15.
public struct UInt4: CompactInteger {
  public static let bitWidth = 4
  public static let isSigned = false
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits & Self.mask }

  public static var dtype: DType { .uint4 }
  public static func erase(_ tensor: Tensor<UInt4>) -> AnyTensor { .uint4(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt4>? {
    if case .uint4(let t) = tensor { t } else { nil }
  }
}

/// A signed integer of 2 bits, −2…1 in two's complement.
public struct Int2: CompactInteger {
  public static let bitWidth = 2
  public static let isSigned = true
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits & Self.mask }

  public static var dtype: DType { .int2 }
  public static func erase(_ tensor: Tensor<Int2>) -> AnyTensor { .int2(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int2>? {
    if case .int2(let t) = tensor { t } else { nil }
  }
}

/// An unsigned integer of 2 bits, 0…3.
public struct UInt2: CompactInteger {
  public static let bitWidth = 2
  public static let isSigned = false
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits & Self.mask }

  public static var dtype: DType { .uint2 }
  public static func erase(_ tensor: Tensor<UInt2>) -> AnyTensor { .uint2(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt2>? {
    if case .uint2(let t) = tensor { t } else { nil }
  }
}

// MARK: - Floats

/// A float of four or eight bits: a sign, an exponent and a mantissa.
public protocol CompactFloat: CompactElement {
  static var layout: CompactFloatLayout { get }
}

/// The layout of the bits of a compact float.
public struct CompactFloatLayout: Sendable {
  /// The meaning of the bit patterns that are not ordinary numbers.
  enum Specials {
    /// The highest exponent is reserved for infinities and NaN, as in IEEE 754.
    case infinities
    /// NaN has all bits set except the sign; there is no infinity.
    case nan
    /// NaN has the bits of −0, which does not exist; there is no infinity.
    case nanForNegativeZero
    /// All patterns are numbers.
    case none
  }
  let exponentBits, mantissaBits, bias: Int
  let specials: Specials

  var signBit: UInt8 { 1 << UInt8(exponentBits + mantissaBits) }
  /// The bits of the highest number.
  var greatest: UInt8 {
    switch specials {
    case .infinities: signBit - 1 - 1 << UInt8(mantissaBits)
    case .nan: signBit - 2
    case .nanForNegativeZero, .none: signBit - 1
    }
  }
  /// The bits of NaN; of −0 if there is no NaN.
  var nan: UInt8 {
    switch specials {
    case .infinities, .nan: signBit - 1
    case .nanForNegativeZero, .none: signBit
    }
  }

  func value(_ bits: UInt8) -> Double {
    let magnitude = bits & (signBit - 1)
    let sign: FloatingPointSign = bits & signBit == 0 ? .plus : .minus
    if specials == .nanForNegativeZero && bits == signBit { return .nan }
    if magnitude > greatest {
      let isInfinity = specials == .infinities && magnitude == greatest + 1
      return !isInfinity ? .nan : sign == .plus ? .infinity : -.infinity
    }
    let exponent = Int(magnitude >> UInt8(mantissaBits))
    let fraction = Int(magnitude & (1 << UInt8(mantissaBits) - 1))
    let significand = exponent == 0 ? fraction : fraction + 1 << mantissaBits
    return Double(
      sign: sign, exponent: max(exponent, 1) - bias - mantissaBits,
      significand: Double(significand))
  }

  /// The bits of the nearest number, ties to even.
  ///
  /// - Parameter saturates: Whether numbers out of range become the highest number instead of
  ///   infinity or NaN.
  func bits(_ value: Double, saturates: Bool) -> UInt8 {
    if value.isNaN { return nan }
    let sign = value.sign == .minus ? signBit : 0
    let exponent = value == 0 || value.isInfinite ? 0 : max(Int(value.exponent), 1 - bias)
    let unit = Double(sign: .plus, exponent: exponent - mantissaBits, significand: 1)
    let steps = (value.magnitude / unit).rounded(.toNearestOrEven)
    if value.isInfinite || steps * unit > self.value(greatest) {
      if saturates || specials == .none { return sign | greatest }
      switch specials {
      case .infinities: return sign | (greatest + 1)
      case .nan: return sign | nan
      default: return nan
      }
    }
    // Rounding up to the next power of two carries into the exponent.
    let lowest = 1 << mantissaBits
    let field = (exponent + bias - 1) << mantissaBits
    let magnitude = Int(steps) < lowest ? Int(steps) : field + Int(steps)
    if magnitude == 0 && specials == .nanForNegativeZero { return 0 }
    return sign | UInt8(magnitude)
  }
}

extension CompactFloat {
  public static var bitWidth: Int { 1 + layout.exponentBits + layout.mantissaBits }
  public static var zero: Self { Self(bits: 0) }
  public static var one: Self { Self(converting: 1.0) }
  public var asDouble: Double { Self.layout.value(bits) }
  public var asInt64: Int64 { Int64(converting: asDouble) }
  public init(converting value: Double) { self.init(rounding: value, saturates: true) }
  public init(converting value: Int64) { self.init(converting: Double(value)) }
  /// The nearest number; numbers out of range saturate, or become infinity or NaN.
  public init(rounding value: Double, saturates: Bool) {
    self.init(bits: Self.layout.bits(value, saturates: saturates))
  }
}

/// ONNX's `FLOAT8E4M3FN`: up to 448, NaN, no infinities.
public struct Float8E4M3FN: CompactFloat {
  public static let layout = CompactFloatLayout(
    exponentBits: 4, mantissaBits: 3, bias: 7, specials: .nan)
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits }

  public static var dtype: DType { .float8e4m3fn }
  public static func erase(_ tensor: Tensor<Float8E4M3FN>) -> AnyTensor { .float8e4m3fn(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Float8E4M3FN>? {
    if case .float8e4m3fn(let t) = tensor { t } else { nil }
  }
}

/// ONNX's `FLOAT8E4M3FNUZ`: up to 240, NaN in the place of −0, no infinities.
public struct Float8E4M3FNUZ: CompactFloat {
  public static let layout = CompactFloatLayout(
    exponentBits: 4, mantissaBits: 3, bias: 8, specials: .nanForNegativeZero)
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits }

  public static var dtype: DType { .float8e4m3fnuz }
  public static func erase(_ tensor: Tensor<Float8E4M3FNUZ>) -> AnyTensor {
    .float8e4m3fnuz(tensor)
  }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Float8E4M3FNUZ>? {
    if case .float8e4m3fnuz(let t) = tensor { t } else { nil }
  }
}

/// ONNX's `FLOAT8E5M2`: up to 57344, with NaN and infinities, as in IEEE 754.
public struct Float8E5M2: CompactFloat {
  public static let layout = CompactFloatLayout(
    exponentBits: 5, mantissaBits: 2, bias: 15, specials: .infinities)
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits }

  public static var dtype: DType { .float8e5m2 }
  public static func erase(_ tensor: Tensor<Float8E5M2>) -> AnyTensor { .float8e5m2(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Float8E5M2>? {
    if case .float8e5m2(let t) = tensor { t } else { nil }
  }
}

/// ONNX's `FLOAT8E5M2FNUZ`: up to 57344, NaN in the place of −0, no infinities.
public struct Float8E5M2FNUZ: CompactFloat {
  public static let layout = CompactFloatLayout(
    exponentBits: 5, mantissaBits: 2, bias: 16, specials: .nanForNegativeZero)
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits }

  public static var dtype: DType { .float8e5m2fnuz }
  public static func erase(_ tensor: Tensor<Float8E5M2FNUZ>) -> AnyTensor {
    .float8e5m2fnuz(tensor)
  }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Float8E5M2FNUZ>? {
    if case .float8e5m2fnuz(let t) = tensor { t } else { nil }
  }
}

/// ONNX's `FLOAT4E2M1`: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives; neither NaN nor infinities.
public struct Float4E2M1: CompactFloat {
  public static let layout = CompactFloatLayout(
    exponentBits: 2, mantissaBits: 1, bias: 1, specials: .none)
  public let bits: UInt8
  public init(bits: UInt8) { self.bits = bits & 15 }

  public static var dtype: DType { .float4e2m1 }
  public static func erase(_ tensor: Tensor<Float4E2M1>) -> AnyTensor { .float4e2m1(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Float4E2M1>? {
    if case .float4e2m1(let t) = tensor { t } else { nil }
  }
}
