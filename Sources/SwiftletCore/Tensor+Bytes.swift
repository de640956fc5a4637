extension Tensor {
  /// A tensor from its elements' bytes in memory order (little-endian on every supported CPU).
  ///
  /// - Precondition: There are as many bytes as the shape needs.
  public init(_ shape: Shape, bytes: Span<UInt8>) {
    precondition(
      bytes.count == shape.count * MemoryLayout<Element>.stride,
      "\(bytes.count) bytes do not fill \(Element.dtype) \(shape)")
    self.init(uninitialized: shape)
    unsafe bytes.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe UnsafeMutableRawPointer(storage.base).copyMemory(
        from: start, byteCount: source.count)
    }
  }

  /// Appends the elements' bytes in row-major and memory order.
  public func appendBytes(to bytes: inout [UInt8]) {
    let packed = contiguous()
    unsafe packed.span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }
}

extension AnyTensor {
  /// A tensor of a type known at run time from its elements' bytes; see ``Tensor/init(_:bytes:)``.
  public init(_ dtype: DType, _ shape: Shape, bytes: Span<UInt8>) {
    switch dtype {
    case .float32: self = .float32(Tensor(shape, bytes: bytes))
    case .float64: self = .float64(Tensor(shape, bytes: bytes))
    case .int8: self = .int8(Tensor(shape, bytes: bytes))
    case .uint8: self = .uint8(Tensor(shape, bytes: bytes))
    case .int32: self = .int32(Tensor(shape, bytes: bytes))
    case .int64: self = .int64(Tensor(shape, bytes: bytes))
    }
  }

  /// The elements' bytes in row-major and memory order.
  public var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(byteCount)
    switch self {
    case .float32(let t): t.appendBytes(to: &result)
    case .float64(let t): t.appendBytes(to: &result)
    case .int8(let t): t.appendBytes(to: &result)
    case .uint8(let t): t.appendBytes(to: &result)
    case .int32(let t): t.appendBytes(to: &result)
    case .int64(let t): t.appendBytes(to: &result)
    }
    return result
  }
}
