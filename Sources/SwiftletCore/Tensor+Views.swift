extension Tensor {
  /// This tensor if it is packed, else a packed copy.
  public func contiguous() -> Tensor { isContiguous ? self : packedCopy() }

  func packedCopy() -> Tensor {
    let copy = Tensor(uninitialized: shape)
    if isContiguous {
      unsafe copy.storage.base.update(from: storage.base + offset, count: count)
      return copy
    }
    var index = [Int](repeating: 0, count: shape.rank)
    var position = offset
    for target in 0..<count {
      unsafe copy.storage.base[target] = unsafe storage.base[position]
      var axis = shape.rank - 1
      while axis >= 0 {
        index[axis] += 1
        position += strides[axis]
        if index[axis] < shape[axis] { break }
        position -= index[axis] * strides[axis]
        index[axis] = 0
        axis -= 1
      }
    }
    return copy
  }

  /// The same elements in row-major order under another shape. A view if this tensor is packed.
  ///
  /// - Precondition: The shapes have equally many elements.
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
      "range \(range) is outside of axis \(axis) of shape \(shape)")
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
