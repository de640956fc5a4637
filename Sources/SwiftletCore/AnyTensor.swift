// SPDX-License-Identifier: Apache-2.0

/// A tensor whose element type is known only at run time.
public enum AnyTensor: Sendable {
  case float32(Tensor<Float>)
  case float64(Tensor<Double>)
  case int8(Tensor<Int8>)
  case uint8(Tensor<UInt8>)
  case int16(Tensor<Int16>)
  case uint16(Tensor<UInt16>)
  case int32(Tensor<Int32>)
  case uint32(Tensor<UInt32>)
  case int64(Tensor<Int64>)
  case uint64(Tensor<UInt64>)
  case bool(Tensor<Bool>)
  case int4(Tensor<Int4>)
  case uint4(Tensor<UInt4>)
  case int2(Tensor<Int2>)
  case uint2(Tensor<UInt2>)
  case float8e4m3fn(Tensor<Float8E4M3FN>)
  case float8e4m3fnuz(Tensor<Float8E4M3FNUZ>)
  case float8e5m2(Tensor<Float8E5M2>)
  case float8e5m2fnuz(Tensor<Float8E5M2FNUZ>)
  case float4e2m1(Tensor<Float4E2M1>)

  /// The tensor with its element type as a case; elements are shared, not copied.
  public init<Element>(_ tensor: Tensor<Element>) { self = Element.erase(tensor) }

  /// The type of the elements.
  public var dtype: DType {
    switch self {
    case .float32: .float32
    case .float64: .float64
    case .int8: .int8
    case .uint8: .uint8
    case .int16: .int16
    case .uint16: .uint16
    case .int32: .int32
    case .uint32: .uint32
    case .int64: .int64
    case .uint64: .uint64
    case .bool: .bool
    case .int4: .int4
    case .uint4: .uint4
    case .int2: .int2
    case .uint2: .uint2
    case .float8e4m3fn: .float8e4m3fn
    case .float8e4m3fnuz: .float8e4m3fnuz
    case .float8e5m2: .float8e5m2
    case .float8e5m2fnuz: .float8e5m2fnuz
    case .float4e2m1: .float4e2m1
    }
  }

  /// The extents, outermost first.
  public var shape: Shape {
    switch self {
    case .float32(let t): t.shape
    case .float64(let t): t.shape
    case .int8(let t): t.shape
    case .uint8(let t): t.shape
    case .int16(let t): t.shape
    case .uint16(let t): t.shape
    case .int32(let t): t.shape
    case .uint32(let t): t.shape
    case .int64(let t): t.shape
    case .uint64(let t): t.shape
    case .bool(let t): t.shape
    case .int4(let t): t.shape
    case .uint4(let t): t.shape
    case .int2(let t): t.shape
    case .uint2(let t): t.shape
    case .float8e4m3fn(let t): t.shape
    case .float8e4m3fnuz(let t): t.shape
    case .float8e5m2(let t): t.shape
    case .float8e5m2fnuz(let t): t.shape
    case .float4e2m1(let t): t.shape
    }
  }

  /// The size of the elements in bytes, packed.
  public var byteCount: Int { dtype.packedByteCount(shape.count) ?? .max }

  /// The tensor if its elements are of the requested type.
  public func typed<Element: TensorElement>(as _: Element.Type = Element.self) -> Tensor<Element>? {
    Element.unerase(self)
  }

  /// The tensor with the requested element type.
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

// MARK: - Memory

extension AnyTensor {
  /// A packed tensor with undefined elements, for results that are about to be written in full.
  package init(uninitialized dtype: DType, _ shape: Shape) {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(Tensor<Element>(uninitialized: shape))
    }
    self = opened(dtype.elementType)
  }

  /// The elements packed in row-major order.
  package var contiguous: AnyTensor {
    // The most frequent type first, without a type lookup at run time.
    if case .float32(let tensor) = self { return .float32(tensor.contiguous()) }
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.contiguous())
    }
    return opened(dtype.elementType)
  }

  /// The first element of a packed tensor. Valid as long as the tensor is; only a caller that knows
  /// that nobody else holds the tensor may write.
  @unsafe package var unsafeStart: UnsafeMutableRawPointer {
    if case .float32(let tensor) = self {
      return unsafe UnsafeMutableRawPointer(tensor.unsafeStart)
    }
    func opened<Element: TensorElement>(_: Element.Type) -> UnsafeMutableRawPointer {
      unsafe UnsafeMutableRawPointer(typed(as: Element.self)!.unsafeStart)
    }
    return unsafe opened(dtype.elementType)
  }
}

extension AnyTensor: Equatable {
  public static func == (a: AnyTensor, b: AnyTensor) -> Bool {
    func equal<Element: TensorElement>(_: Element.Type) -> Bool {
      a.typed(as: Element.self)! == b.typed(as: Element.self)!
    }
    return a.dtype == b.dtype && equal(a.dtype.elementType)
  }
}

// MARK: - Conversions

extension AnyTensor {
  /// The elements converted to another type, by the rules of ``TensorElement``.
  package func converted(to target: DType) -> AnyTensor {
    if target == dtype { return self }
    let isReal = dtype.hasFractions || target.hasFractions
    func opened<Source: TensorElement, Target: TensorElement>(
      _: Source.Type, _: Target.Type
    ) -> AnyTensor {
      let source: Tensor<Source> = typed()!
      let result: Tensor<Target> =
        isReal
        ? Self.rounded(Self.doubles(source)) : Self.rounded(Self.integers(source))
      return AnyTensor(result)
    }
    return opened(dtype.elementType, target.elementType)
  }

  @specialized(where Source == Float)
  @specialized(where Source == Int32)
  @specialized(where Source == Int64)
  @specialized(where Source == UInt8)
  @specialized(where Source == Bool)
  private static func doubles<Source: TensorElement>(_ source: Tensor<Source>) -> Tensor<Double> {
    source.map(\.asDouble)
  }

  @specialized(where Source == Int32)
  @specialized(where Source == UInt8)
  @specialized(where Source == Bool)
  private static func integers<Source: TensorElement>(_ source: Tensor<Source>) -> Tensor<Int64> {
    source.map(\.asInt64)
  }

  @specialized(where Target == Float)
  @specialized(where Target == Int32)
  @specialized(where Target == Int64)
  @specialized(where Target == UInt8)
  @specialized(where Target == Bool)
  private static func rounded<Target: TensorElement>(_ wide: Tensor<Double>) -> Tensor<Target> {
    wide.map { Target(converting: $0) }
  }

  @specialized(where Target == Int32)
  @specialized(where Target == UInt8)
  @specialized(where Target == Bool)
  private static func rounded<Target: TensorElement>(_ wide: Tensor<Int64>) -> Tensor<Target> {
    wide.map { Target(converting: $0) }
  }
}
