// Tensors over memory that a caller in another language owns.

extension Tensor {
  /// A packed tensor over memory of someone else's, without a copy.
  ///
  /// The memory must be there for as long as any tensor shares it, and whoever makes the tensor must
  /// hold it all the while: a tensor that only one holder has is written over where that saves a
  /// copy. Computations may give out tensors that share it; see ``lies(in:)``.
  @unsafe package init(borrowing start: UnsafeRawPointer, _ shape: Shape) {
    let base = unsafe UnsafeMutableRawPointer(mutating: start)
      .bindMemory(to: Element.self, capacity: shape.count)
    unsafe self.init(
      shape: shape, strides: shape.rowMajorStrides, offset: 0,
      storage: Storage(borrowing: base, count: shape.count))
  }
}

extension AnyTensor {
  /// As ``Tensor/init(borrowing:_:)``, for types of whole bytes whose bits all mean something:
  /// neither bool nor types below eight bits.
  @unsafe package init(borrowing start: UnsafeRawPointer, _ dtype: DType, _ shape: Shape) {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      unsafe AnyTensor(Tensor<Element>(borrowing: start, shape))
    }
    self = opened(dtype.elementType)
  }

  /// Whether the elements of this packed tensor lie in a piece of memory.
  @unsafe package func lies(in memory: UnsafeRawBufferPointer) -> Bool {
    guard let start = memory.baseAddress else { return false }
    let offset = unsafe UnsafeRawPointer(unsafeStart) - start
    return 0..<memory.count ~= offset
  }

  /// The same elements, packed, in memory of their own.
  package var copied: AnyTensor {
    if case .float32(let tensor) = self { return .float32(tensor.packedCopy()) }
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.packedCopy())
    }
    return opened(dtype.elementType)
  }
}
