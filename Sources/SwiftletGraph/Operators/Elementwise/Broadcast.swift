// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Broadcasting of a smaller tensor to a larger shape, by the ONNX (NumPy) rule.
struct Broadcast: Sendable {
  private let source: Shape
  private let target: Shape
  /// Source step along each target axis; 0 where the source repeats.
  private let steps: [Int]

  /// - Precondition: `source` broadcasts to `target`.
  init(_ source: Shape, to target: Shape) {
    precondition(
      source.broadcast(with: target) == target, "\(source) does not broadcast to \(target)")
    self.source = source
    self.target = target
    let missing = target.rank - source.rank
    let strides = source.rowMajorStrides
    steps = (0..<target.rank).map { axis in
      axis < missing || source[axis - missing] == 1 ? 0 : strides[axis - missing]
    }
  }

  /// Visits the rows (last axis) of the target: start in the target, start in the source, and the
  /// source step along the row (0 or 1).
  private func forEachRow(
    _ body: (_ target: Int, _ source: Int, _ length: Int, _ step: Int) -> Void
  ) {
    guard target.count > 0 else { return }
    guard target.rank > 0 else { return body(0, 0, 1, 1) }
    let last = target.rank - 1
    let length = target[last]
    var index = [Int](repeating: 0, count: last)
    var position = 0
    for row in 0..<target.count / length {
      body(row * length, position, length, steps[last])
      var axis = last - 1
      while axis >= 0 {
        index[axis] += 1
        position += steps[axis]
        if index[axis] < target[axis] { break }
        position -= index[axis] * steps[axis]
        index[axis] = 0
        axis -= 1
      }
    }
  }

  /// Fills `result` (of the target shape) with the repeated elements of packed `tensor`.
  func copy<T: LayerElement>(_ tensor: Tensor<T>, into result: inout Tensor<T>) {
    let values = tensor.span
    var output = result.mutableSpan
    forEachRow { start, from, length, step in
      var row = output.part(start..<start + length)
      if step == 0 {
        row.fill(with: values[from])
      } else {
        row.copy(values.extracting(from..<from + length), to: 0)
      }
    }
  }

  /// Adds the repeated elements of packed `tensor` to `result` (of the target shape).
  func add<T: LayerElement>(_ tensor: Tensor<T>, to result: inout Tensor<T>) {
    let values = tensor.span
    var output = result.mutableSpan
    forEachRow { start, from, length, step in
      var row = output.part(start..<start + length)
      if step == 0 {
        let value = values[from]
        for i in row.indices { row[i] += value }
      } else {
        T.add(values.extracting(from..<from + length), to: &row)
      }
    }
  }

  /// Sums packed `tensor` (of the target shape) over the axes along which the source repeats: the
  /// transpose of ``copy(_:into:)``, and so its gradient.
  func sum<T: LayerElement>(_ tensor: Tensor<T>) -> Tensor<T> {
    var result = Tensor<T>(zeros: source)
    let values = tensor.span
    var output = result.mutableSpan
    forEachRow { start, into, length, step in
      let row = values.extracting(start..<start + length)
      if step == 0 {
        output[into] += T.sum(row)
      } else {
        var part = output.part(into..<into + length)
        T.add(row, to: &part)
      }
    }
    return result
  }
}

extension Tensor where Element: LayerElement {
  /// The gradient of an operand of this shape that was repeated to a packed result's: the sum over
  /// the axes along which it was.
  func summed(to shape: Shape) -> Tensor {
    shape == self.shape ? self : Broadcast(shape, to: self.shape).sum(self)
  }
}
