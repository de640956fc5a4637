// SPDX-License-Identifier: Apache-2.0

extension Tensor {
  /// The given rows (axis 0) of a packed tensor, copied.
  @specialized(where Element == Float)
  @specialized(where Element == UInt8)
  package func rows(_ indices: [Int]) -> Tensor {
    var result = Tensor(uninitialized: shape.replacing(axis: 0, with: indices.count))
    let length = shape.count(of: 1..<shape.rank)
    var target = result.mutableSpan
    for (position, index) in indices.enumerated() {
      target.copy(
        span.extracting(index * length..<(index + 1) * length), to: position * length)
    }
    return result
  }

  /// The rows (axis 0) of all tensors, one after the other.
  ///
  /// - Precondition: There is at least one; all are packed, and extents after the first are the
  ///   same.
  package init(joining parts: [Tensor]) {
    let count = parts.reduce(0) { $0 + $1.shape[0] }
    self.init(uninitialized: parts[0].shape.replacing(axis: 0, with: count))
    var target = mutableSpan
    var place = 0
    for part in parts {
      target.copy(part.span, to: place)
      place += part.count
    }
  }
}

extension AnyTensor {
  /// As ``Tensor/rows(_:)``.
  package func rows(_ indices: [Int]) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.rows(indices))
    }
    return opened(dtype.elementType)
  }

  /// A range of rows, sharing memory.
  package func rows(_ range: Range<Int>) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.slice(axis: 0, range: range))
    }
    return opened(dtype.elementType)
  }

  /// As ``Tensor/init(joining:)``; all have the same type.
  package init(joining parts: [AnyTensor]) {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(Tensor(joining: parts.map { $0.typed(as: Element.self)! }))
    }
    self = opened(parts[0].dtype.elementType)
  }
}
