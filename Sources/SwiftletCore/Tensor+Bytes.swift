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
  /// A packed tensor whose elements in row-major order are `bytes`, little endian. Truth values are
  /// true for every byte but 0.
  ///
  /// - Precondition: There are as many bytes as the elements of `shape` take.
  package init(_ dtype: DType, _ shape: Shape, bytes: Span<UInt8>) {
    if dtype == .bool {
      self = .bool(Tensor<UInt8>(shape, bytes: bytes).map { $0 != 0 })
      return
    }
    func typed<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(Tensor<Element>(shape, bytes: bytes))
    }
    self = typed(dtype.elementType)
  }

  /// Appends the elements in row-major order, little endian.
  package func appendBytes(to bytes: inout [UInt8]) {
    func append<Element: TensorElement>(_: Element.Type, _ bytes: inout [UInt8]) {
      typed(as: Element.self)!.appendBytes(to: &bytes)
    }
    append(dtype.elementType, &bytes)
  }
}
