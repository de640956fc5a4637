/// A tensor whose element type is known at run time only.
public enum AnyTensor: Sendable {
  case float32(Tensor<Float>)
  case float64(Tensor<Double>)
  case int8(Tensor<Int8>)
  case uint8(Tensor<UInt8>)
  case int32(Tensor<Int32>)
  case int64(Tensor<Int64>)

  public init<Element>(_ tensor: Tensor<Element>) { self = Element.erase(tensor) }

  public var dtype: DType {
    switch self {
    case .float32: .float32
    case .float64: .float64
    case .int8: .int8
    case .uint8: .uint8
    case .int32: .int32
    case .int64: .int64
    }
  }

  public var shape: Shape {
    switch self {
    case .float32(let t): t.shape
    case .float64(let t): t.shape
    case .int8(let t): t.shape
    case .uint8(let t): t.shape
    case .int32(let t): t.shape
    case .int64(let t): t.shape
    }
  }

  /// Bytes of the elements, packed.
  public var byteCount: Int { shape.count * dtype.byteCount }

  /// The tensor if its elements are of the asked type.
  public func typed<Element: TensorElement>(as _: Element.Type = Element.self) -> Tensor<Element>? {
    Element.unerase(self)
  }

  /// The tensor as the asked element type.
  ///
  /// - Throws: `badInput` naming both types if they differ. Nothing is converted.
  public func require<Element: TensorElement>(
    _: Element.Type = Element.self
  ) throws -> Tensor<Element> {
    guard let tensor: Tensor<Element> = typed() else {
      throw SwiftletError(.badInput, "expected \(Element.dtype) elements, found \(dtype)")
    }
    return tensor
  }
}

extension AnyTensor: Equatable {
  public static func == (a: AnyTensor, b: AnyTensor) -> Bool {
    switch (a, b) {
    case (.float32(let x), .float32(let y)): x == y
    case (.float64(let x), .float64(let y)): x == y
    case (.int8(let x), .int8(let y)): x == y
    case (.uint8(let x), .uint8(let y)): x == y
    case (.int32(let x), .int32(let y)): x == y
    case (.int64(let x), .int64(let y)): x == y
    default: false
    }
  }
}
