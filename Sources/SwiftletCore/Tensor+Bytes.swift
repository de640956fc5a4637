// SPDX-License-Identifier: Apache-2.0

// File formats store elements little-endian, like every CPU that Swiftlet runs on: converting
// between elements and bytes is a single memory copy.

extension Tensor {
  /// A packed tensor whose elements in row-major order are `bytes`, little-endian.
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

  /// Appends the elements in row-major order, little-endian.
  package func appendBytes(to bytes: inout [UInt8]) {
    let packed = contiguous()
    unsafe packed.span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }
}

extension AnyTensor {
  /// A packed tensor whose elements in row-major order are `bytes`, little-endian. Booleans are
  /// true for every nonzero byte; elements of less than eight bits share bytes, the first in the
  /// lowest bits.
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
    func unpacked<Element: CompactElement>(_: Element.Type) -> AnyTensor {
      let perByte = 8 / Element.bitWidth
      let elements = (0..<shape.count).map { index in
        Element(bits: bytes[index / perByte] >> UInt8(index % perByte * Element.bitWidth))
      }
      return AnyTensor(Tensor(shape, elements))
    }
    self = dtype.compactType.map { unpacked($0) } ?? typed(dtype.elementType)
  }

  /// Appends the elements in row-major order, little-endian, packed in the layout that
  /// ``init(_:_:bytes:)`` reads.
  package func appendBytes(to bytes: inout [UInt8]) {
    func append<Element: TensorElement>(_: Element.Type, _ bytes: inout [UInt8]) {
      typed(as: Element.self)!.appendBytes(to: &bytes)
    }
    func pack<Element: CompactElement>(_: Element.Type, _ bytes: inout [UInt8]) {
      let perByte = 8 / Element.bitWidth
      for (index, element) in typed(as: Element.self)!.elements.enumerated() {
        if index % perByte == 0 { bytes.append(0) }
        bytes[bytes.count - 1] |= element.bits << UInt8(index % perByte * Element.bitWidth)
      }
    }
    if let compact = dtype.compactType { return pack(compact, &bytes) }
    append(dtype.elementType, &bytes)
  }
}
