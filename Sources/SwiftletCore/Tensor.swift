// SPDX-License-Identifier: Apache-2.0

/// A dense, row-major, n-dimensional array with value semantics.
///
/// Copies share memory until one of them is written to. Views (``slice(axis:range:)``,
/// ``permuted(to:)``, ``reshaped(to:)``) share it as well and differ only in offset and strides;
/// ``contiguous()`` packs a view. Elements are accessed through ``span`` and ``mutableSpan``, which
/// are bounds-checked and cannot outlive the tensor.
public struct Tensor<Element: TensorElement>: Sendable {
  /// The extents, outermost first.
  public let shape: Shape
  /// The distance, in elements of the storage, between consecutive indices of each axis.
  public let strides: [Int]
  /// Whether the elements are packed in row-major order.
  public let isContiguous: Bool
  let offset: Int
  var storage: Storage<Element>

  init(shape: Shape, strides: [Int], offset: Int, storage: Storage<Element>) {
    self.shape = shape
    self.strides = strides
    isContiguous = Self.isPacked(shape, strides)
    self.offset = offset
    self.storage = storage
  }

  /// A packed tensor with undefined elements, for results that are about to be written in full.
  @usableFromInline package init(uninitialized shape: Shape) {
    self.init(
      shape: shape, strides: shape.rowMajorStrides, offset: 0,
      storage: Storage(uninitializedCount: shape.count))
  }

  /// A tensor with every element equal to `value`.
  public init(_ shape: Shape, repeating value: Element) {
    self.init(uninitialized: shape)
    unsafe storage.base.initialize(repeating: value, count: shape.count)
  }

  /// A tensor of zeros, packed and row-major.
  public init(zeros shape: Shape) { self.init(shape, repeating: .zero) }

  /// A tensor with the given elements in row-major order.
  ///
  /// - Precondition: There are as many elements as the shape counts.
  public init(_ shape: Shape, _ elements: [Element]) {
    precondition(
      elements.count == shape.count, "\(elements.count) elements do not fill shape \(shape)")
    self.init(uninitialized: shape)
    unsafe elements.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      unsafe storage.base.update(from: start, count: source.count)
    }
  }

  /// The number of elements.
  public var count: Int { shape.count }

  private static func isPacked(_ shape: Shape, _ strides: [Int]) -> Bool {
    var expected = 1
    for axis in stride(from: shape.rank - 1, through: 0, by: -1) {
      if shape[axis] != 1 && strides[axis] != expected { return false }
      expected *= shape[axis]
    }
    return true
  }

  /// The elements in row-major order.
  public var elements: [Element] {
    let packed = contiguous()
    return unsafe [Element](unsafeUninitializedCapacity: count) { buffer, written in
      unsafe buffer.baseAddress?.initialize(from: packed.storage.base + packed.offset, count: count)
      written = count
    }
  }

  /// One element, by its index along every axis.
  public subscript(_ indices: Int...) -> Element {
    get { unsafe storage.base[position(of: indices)] }
    set {
      makeUnique()
      unsafe storage.base[position(of: indices)] = newValue
    }
  }

  private func position(of indices: [Int]) -> Int {
    precondition(
      indices.count == shape.rank, "\(indices.count) indices for a tensor of shape \(shape)")
    var position = offset
    for axis in 0..<shape.rank {
      precondition(
        indices[axis] >= 0 && indices[axis] < shape[axis],
        "index \(indices) is outside shape \(shape)")
      position += indices[axis] * strides[axis]
    }
    return position
  }
}

// MARK: - Spans

extension Tensor {
  /// The elements in row-major order, without a copy.
  ///
  /// - Precondition: ``isContiguous``.
  public var span: Span<Element> {
    @_lifetime(borrow self) get {
      precondition(isContiguous, "pack the view with contiguous() before taking its span")
      let start = unsafe storage.base + offset
      let span = unsafe Span(_unsafeStart: start, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The elements in row-major order, for writing. Makes this tensor the sole owner of its memory.
  public var mutableSpan: MutableSpan<Element> {
    @_lifetime(&self) mutating get {
      makeUnique()
      let start = unsafe storage.base + offset
      let span = unsafe MutableSpan(_unsafeStart: start, count: count)
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// Copies the elements if they are shared or not packed.
  mutating func makeUnique() {
    if !isContiguous || !isKnownUniquelyReferenced(&storage) { self = packedCopy() }
  }
}

extension Tensor {
  /// The first element, without checking whether the tensor is shared.
  @unsafe var unsafeStart: UnsafeMutablePointer<Element> { unsafe storage.base + offset }
}

extension MutableSpan where Element: BitwiseCopyable {
  /// The elements in `range`, for writing.
  @_lifetime(&self)
  @inlinable
  package mutating func part(_ range: Range<Int>) -> MutableSpan<Element> {
    _mutatingExtracting(range)
  }

  /// Overwrites the elements from `start` on with those of `source`.
  @_lifetime(self: copy self)
  @inlinable
  package mutating func copy(_ source: Span<Element>, to start: Int) {
    var target = part(start..<start + source.count)
    unsafe source.withUnsafeBufferPointer { source in
      unsafe target.withUnsafeMutableBufferPointer { target in
        guard let from = source.baseAddress else { return }
        unsafe target.baseAddress?.update(from: from, count: source.count)
      }
    }
  }

  /// Sets every element to `value`.
  @_lifetime(self: copy self)
  @inlinable
  package mutating func fill(with value: Element) {
    for i in indices { self[i] = value }
  }
}

extension Tensor: Equatable {
  /// Whether shapes and elements are equal; strides do not matter.
  @inlinable public static func == (a: Tensor, b: Tensor) -> Bool {
    guard a.shape == b.shape else { return false }
    let (a, b) = (a.contiguous(), b.contiguous())
    let (x, y) = (a.span, b.span)
    for i in x.indices where x[i] != y[i] { return false }
    return true
  }
}

extension Tensor: CustomStringConvertible {
  public var description: String { "Tensor<\(Element.dtype)>(\(shape))" }
}
