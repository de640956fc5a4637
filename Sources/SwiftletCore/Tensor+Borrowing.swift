// SPDX-License-Identifier: Apache-2.0

// Tensors over memory owned by a caller in another language.

extension Tensor {
  /// A packed tensor over borrowed memory, without a copy.
  ///
  /// The memory must stay valid for as long as any tensor shares it, and the creator of the tensor
  /// must hold it for that time: a tensor with a single holder may be overwritten in place.
  /// Computations may return tensors that share the memory; see ``lies(in:)``.
  @unsafe package init(borrowing start: UnsafeRawPointer, _ shape: Shape) {
    let base = unsafe UnsafeMutableRawPointer(mutating: start)
      .bindMemory(to: Element.self, capacity: shape.count)
    unsafe self.init(
      shape: shape, strides: shape.rowMajorStrides, offset: 0,
      storage: Storage(borrowing: base, count: shape.count))
  }
}

extension AnyTensor {
  /// As ``Tensor/init(borrowing:_:)``, for types of whole bytes in which every bit pattern is
  /// valid: neither bool nor types below eight bits.
  @unsafe package init(borrowing start: UnsafeRawPointer, _ dtype: DType, _ shape: Shape) {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      unsafe AnyTensor(Tensor<Element>(borrowing: start, shape))
    }
    self = opened(dtype.elementType)
  }

  /// Whether the elements of this packed tensor lie in the given memory.
  @unsafe package func lies(in memory: UnsafeRawBufferPointer) -> Bool {
    guard let start = memory.baseAddress else { return false }
    let offset = unsafe UnsafeRawPointer(unsafeStart) - start
    return 0..<memory.count ~= offset
  }

  /// The same elements, packed, in separate memory.
  package var copied: AnyTensor {
    if case .float32(let tensor) = self { return .float32(tensor.packedCopy()) }
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.packedCopy())
    }
    return opened(dtype.elementType)
  }
}
