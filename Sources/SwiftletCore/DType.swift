public import RealModule

/// The element types a tensor can hold.
public enum DType: String, Sendable, Hashable, CaseIterable {
  case float32, float64, int8, uint8, int32, int64

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .int8, .uint8: 1
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }
}

/// A Swift type that can be an element of a ``Tensor``.
public protocol TensorElement: BitwiseCopyable, Sendable, Hashable, Numeric {
  static var dtype: DType { get }
  static func erase(_ tensor: Tensor<Self>) -> AnyTensor
  static func unerase(_ tensor: AnyTensor) -> Tensor<Self>?
}

/// An element type that layers compute in: `Float`, or `Double` where gradients are checked.
public protocol FloatElement: TensorElement, Real, BinaryFloatingPoint {}

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

extension Int8: TensorElement {
  public static var dtype: DType { .int8 }
  public static func erase(_ tensor: Tensor<Int8>) -> AnyTensor { .int8(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int8>? {
    if case .int8(let t) = tensor { t } else { nil }
  }
}

extension UInt8: TensorElement {
  public static var dtype: DType { .uint8 }
  public static func erase(_ tensor: Tensor<UInt8>) -> AnyTensor { .uint8(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<UInt8>? {
    if case .uint8(let t) = tensor { t } else { nil }
  }
}

extension Int32: TensorElement {
  public static var dtype: DType { .int32 }
  public static func erase(_ tensor: Tensor<Int32>) -> AnyTensor { .int32(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int32>? {
    if case .int32(let t) = tensor { t } else { nil }
  }
}

extension Int64: TensorElement {
  public static var dtype: DType { .int64 }
  public static func erase(_ tensor: Tensor<Int64>) -> AnyTensor { .int64(tensor) }
  public static func unerase(_ tensor: AnyTensor) -> Tensor<Int64>? {
    if case .int64(let t) = tensor { t } else { nil }
  }
}
