// File formats store elements little endian, as every CPU that Swiftlet runs on does: elements
// and their bytes are one memory copy apart.

extension Tensor {
  /// A packed tensor whose elements in row-major order are `bytes`, little endian.
  ///
  /// - Precondition: There are as many bytes as the elements of `shape` take.
  package init(_ shape: Shape, bytes: Span<UInt8>) {
    let byteCount = shape.count * MemoryLayout<Element>.size
    precondition(
      bytes.count == byteCount,
      "\(bytes.count) bytes do not fill shape \(shape) of \(Element.dtype)")
    self.init(uninitialized: shape)
    unsafe bytes.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe UnsafeMutableRawPointer(storage.base).copyMemory(from: start, byteCount: byteCount)
    }
  }

  /// Appends the elements in row-major order, little endian.
  package func appendBytes(to bytes: inout [UInt8]) {
    let packed = contiguous()
    unsafe packed.span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }
}

extension AnyTensor {
  /// A packed tensor whose elements in row-major order are `bytes`, little endian.
  ///
  /// - Precondition: There are as many bytes as the elements of `shape` take.
  package init(_ dtype: DType, _ shape: Shape, bytes: Span<UInt8>) {
    self =
      switch dtype {
      case .float32: .float32(Tensor(shape, bytes: bytes))
      case .float64: .float64(Tensor(shape, bytes: bytes))
      case .int8: .int8(Tensor(shape, bytes: bytes))
      case .uint8: .uint8(Tensor(shape, bytes: bytes))
      case .int32: .int32(Tensor(shape, bytes: bytes))
      case .int64: .int64(Tensor(shape, bytes: bytes))
      }
  }

  /// Appends the elements in row-major order, little endian.
  package func appendBytes(to bytes: inout [UInt8]) {
    switch self {
    case .float32(let t): t.appendBytes(to: &bytes)
    case .float64(let t): t.appendBytes(to: &bytes)
    case .int8(let t): t.appendBytes(to: &bytes)
    case .uint8(let t): t.appendBytes(to: &bytes)
    case .int32(let t): t.appendBytes(to: &bytes)
    case .int64(let t): t.appendBytes(to: &bytes)
    }
  }
}
