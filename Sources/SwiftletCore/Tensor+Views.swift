// SPDX-License-Identifier: Apache-2.0

extension Tensor {
  /// This tensor if it is packed, otherwise a packed copy.
  public func contiguous() -> Tensor { isContiguous ? self : packedCopy() }

  func packedCopy() -> Tensor {
    let copy = Tensor(uninitialized: shape)
    if isContiguous {
      unsafe copy.storage.base.update(from: storage.base + offset, count: count)
      return copy
    }
    let source = unsafe UnsafeRawPointer(storage.base + offset)
    unsafe StridedCopy(shape, strides).run(
      from: source, to: copy.storage.base, elementSize: MemoryLayout<Element>.size)
    return copy
  }

  /// The same elements in row-major order under another shape. A view if this tensor is packed.
  ///
  /// - Precondition: The shapes have the same number of elements.
  public func reshaped(to shape: Shape) -> Tensor {
    precondition(shape.count == count, "\(self.shape) cannot be reshaped to \(shape)")
    let packed = contiguous()
    return Tensor(
      shape: shape, strides: shape.rowMajorStrides, offset: packed.offset, storage: packed.storage)
  }

  /// A view of the indices `range` along `axis`.
  ///
  /// - Precondition: The axis exists and holds the range.
  public func slice(axis: Int, range: Range<Int>) -> Tensor {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= shape[axis],
      "range \(range) is outside axis \(axis) of shape \(shape)")
    return Tensor(
      shape: shape.replacing(axis: axis, with: range.count), strides: strides,
      offset: offset + (range.isEmpty ? 0 : range.lowerBound * strides[axis]), storage: storage)
  }

  /// A view with its axes in another order: axis `i` of the result is axis `axes[i]` of this one.
  ///
  /// - Precondition: `axes` is a permutation of `0..<rank`.
  public func permuted(to axes: [Int]) -> Tensor {
    precondition(
      axes.sorted() == Array(0..<shape.rank), "\(axes) does not permute the axes of \(shape)")
    return Tensor(
      shape: Shape(axes.map { shape[$0] }), strides: axes.map { strides[$0] }, offset: offset,
      storage: storage)
  }

  /// A view of this tensor repeated to fill a larger shape, by the ONNX (NumPy) rule.
  ///
  /// - Precondition: The shapes broadcast to `target`.
  package func broadcast(to target: Shape) -> Tensor {
    precondition(
      shape.broadcast(with: target) == target, "\(shape) does not broadcast to \(target)")
    let missing = target.rank - shape.rank
    let steps = (0..<target.rank).map { axis in
      axis < missing || shape[axis - missing] == 1 ? 0 : strides[axis - missing]
    }
    return Tensor(shape: target, strides: steps, offset: offset, storage: storage)
  }

  /// A view of `count` indices along `axis`, starting at `start` and `step` apart.
  ///
  /// - Precondition: The axis exists and holds the indices.
  package func strided(axis: Int, start: Int, step: Int, count: Int) -> Tensor {
    var steps = strides
    guard count > 0 else { return slice(axis: axis, range: 0..<0) }
    precondition(
      0..<shape[axis] ~= start && 0..<shape[axis] ~= start + (count - 1) * step,
      "\(count) indices from \(start) by \(step) along axis \(axis) of \(shape)")
    if count > 1 { steps[axis] *= step }
    return Tensor(
      shape: shape.replacing(axis: axis, with: count), strides: steps,
      offset: offset + start * strides[axis], storage: storage)
  }

  /// A view of the elements whose indices along all `axes` are equal; that index becomes the last
  /// axis.
  ///
  /// - Precondition: The axes are distinct and have the same extent.
  package func diagonal(of axes: [Int]) -> Tensor {
    precondition(Set(axes.map { shape[$0] }).count == 1 && Set(axes).count == axes.count)
    let others = (0..<shape.rank).filter { !axes.contains($0) }
    return Tensor(
      shape: Shape(others.map { shape[$0] } + [shape[axes[0]]]),
      strides: others.map { strides[$0] } + [axes.reduce(0) { $0 + strides[$1] }], offset: offset,
      storage: storage)
  }

  /// The transpose of a matrix, as a view.
  ///
  /// - Precondition: Rank 2.
  public func transposed() -> Tensor {
    precondition(shape.rank == 2, "transposed() needs a matrix, not \(shape)")
    return permuted(to: [1, 0])
  }

  /// A packed tensor with `transform` applied to each element.
  @inlinable public func map<Result: TensorElement>(_ transform: (Element) -> Result) -> Tensor<
    Result
  > {
    let packed = contiguous()
    var result = Tensor<Result>(uninitialized: shape)
    let source = packed.span
    var target = result.mutableSpan
    for i in source.indices { target[i] = transform(source[i]) }
    return result
  }
}

extension Tensor where Element: FloatElement {
  /// The elements converted to another floating-point type.
  @inlinable public func converted<Result: FloatElement>(to _: Result.Type = Result.self) -> Tensor<
    Result
  > {
    map { Result($0) }
  }

  /// Whether no element is NaN or infinite.
  @inlinable public var isFinite: Bool {
    let packed = contiguous()
    let span = packed.span
    for i in span.indices where !span[i].isFinite { return false }
    return true
  }
}
