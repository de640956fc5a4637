// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The element positions of smaller tensors that are broadcast to a larger shape.
///
/// Adjacent axes that all sources repeat in the same way are merged, so that a row, along which
/// each source either advances or stays, is as long as possible.
private struct RepeatedRows: Sendable {
  private let extents: [Int]
  /// Step of each source along each joined axis.
  private let steps: [[Int]]
  private let length: Int

  init(_ sources: [Shape], to target: Shape) {
    var extents = [1]
    var steps = sources.map { _ in [0] }
    let strides = sources.map { source -> [Int] in
      let missing = target.rank - source.rank
      let packed = source.rowMajorStrides
      return (0..<target.rank).map { axis in
        axis < missing || source[axis - missing] == 1 ? 0 : packed[axis - missing]
      }
    }
    for axis in 0..<target.rank where target[axis] != 1 {
      let last = extents.count - 1
      let joins =
        last > 0
        && sources.indices.allSatisfy {
          steps[$0][last] == strides[$0][axis] * target[axis]
        }
      if joins { extents[last] *= target[axis] } else { extents.append(target[axis]) }
      for source in sources.indices {
        if joins { steps[source].removeLast() }
        steps[source].append(strides[source][axis])
      }
    }
    (self.extents, self.steps, length) = (extents, steps, extents[extents.count - 1])
  }

  /// The elements of a source that belong to a part of a row: the same number, or one for all.
  private func range(of source: Int, row: Int, _ columns: Range<Int>) -> Range<Int> {
    let last = extents.count - 1
    var (rest, start) = (row, 0)
    for axis in stride(from: last - 1, through: 1, by: -1) {
      start += rest % extents[axis] * steps[source][axis]
      rest /= extents[axis]
    }
    return steps[source][last] == 0
      ? start..<start + 1 : start + columns.lowerBound..<start + columns.upperBound
  }

  /// Divides `range` of the target's elements into parts of rows.
  func forEachPart(
    of range: Range<Int>, _ body: (_ part: Range<Int>, _ source: (Int) -> Range<Int>) -> Void
  ) {
    var start = range.lowerBound
    while start < range.upperBound {
      let row = start / length
      let end = min(range.upperBound, (row + 1) * length)
      body(start - range.lowerBound..<end - range.lowerBound) {
        self.range(of: $0, row: row, start - row * length..<end - row * length)
      }
      start = end
    }
  }
}

/// Updates `full` row by row together with the matching elements of `other`, which is broadcast to
/// its shape: the body gets the same number of them as of `full`, or one for all.
func update<T, U>(
  _ full: inout Tensor<T>, with other: Tensor<U>, _ threads: Threads,
  _ body: @Sendable (inout MutableSpan<T>, Span<U>) -> Void
) {
  let (shape, other) = (full.shape, other.contiguous())
  let rows = RepeatedRows([other.shape], to: shape)
  full = full.reshaped(to: [full.count])
  threads.forEachBlock(of: &full) { range, values in
    rows.forEachPart(of: range) { part, source in
      var row = values.part(part)
      body(&row, other.span.extracting(source(0)))
    }
  }
  full = full.reshaped(to: shape)
}

/// The same with two smaller tensors.
func update<T, U, V>(
  _ full: inout Tensor<T>, with a: Tensor<U>, _ b: Tensor<V>, _ threads: Threads,
  _ body: @Sendable (inout MutableSpan<T>, Span<U>, Span<V>) -> Void
) {
  let (shape, a, b) = (full.shape, a.contiguous(), b.contiguous())
  let rows = RepeatedRows([a.shape, b.shape], to: shape)
  full = full.reshaped(to: [full.count])
  threads.forEachBlock(of: &full) { range, values in
    rows.forEachPart(of: range) { part, source in
      var row = values.part(part)
      body(&row, a.span.extracting(source(0)), b.span.extracting(source(1)))
    }
  }
  full = full.reshaped(to: shape)
}

/// row[i] = f(row[i], other[i]), or with one number for all.
@inline(__always)
func combine<T, U>(_ row: inout MutableSpan<T>, _ other: Span<U>, _ f: (T, U) -> T) {
  if other.count == 1 {
    let value = other[0]
    for i in row.indices { unsafe row[unchecked: i] = f(row[unchecked: i], value) }
  } else {
    precondition(other.count == row.count)
    for i in row.indices {
      unsafe row[unchecked: i] = f(row[unchecked: i], other[unchecked: i])
    }
  }
}

/// row[i] = f(a[i], b[i]), where one side may be one value for all.
@inline(__always)
func compute<T, U, V>(
  _ row: inout MutableSpan<T>, _ a: Span<U>, _ b: Span<V>, _ f: (U, V) -> T
) {
  if a.count == row.count && b.count == row.count {
    for i in row.indices { unsafe row[unchecked: i] = f(a[unchecked: i], b[unchecked: i]) }
  } else if b.count == 1 {
    precondition(a.count == row.count)
    let value = b[0]
    for i in row.indices { unsafe row[unchecked: i] = f(a[unchecked: i], value) }
  } else {
    precondition(a.count == 1 && b.count == row.count)
    let value = a[0]
    for i in row.indices { unsafe row[unchecked: i] = f(value, b[unchecked: i]) }
  }
}

extension Tensor {
  /// This tensor if it has the shape, otherwise its elements broadcast to it.
  func filling(_ shape: Shape) -> Tensor {
    self.shape == shape ? self : broadcast(to: shape).contiguous()
  }
}
