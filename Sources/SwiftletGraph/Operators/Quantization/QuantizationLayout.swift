// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The assignment of scales to elements: one for all, one per index of an axis, or one per block of
/// indices of an axis.
struct QuantizationLayout: Sendable {
  private enum Kind { case tensor, axis, blocks }
  private let kind: Kind
  /// The tensor as outer × extent × inner; with one scale for all, extent = 1.
  private let extent, inner: Int
  private let blockSize: Int

  /// - Throws: `badInput` if the numbers of scales and zero points do not match the axis.
  init(
    _ opType: String, _ shape: Shape, axis: Int, blockSize: Int, scale: Shape, _ zeroPoint: Shape?
  ) throws {
    guard zeroPoint.map({ $0.count == scale.count }) ?? true else {
      throw SwiftletError(
        .badInput, "\(opType) has \(scale.count) scales, but \(zeroPoint?.count ?? 0) zero points")
    }
    if scale.count == 1 && scale.rank <= 1 {
      (kind, extent, inner, self.blockSize) = (.tensor, 1, shape.count, 1)
      return
    }
    let resolved = axis < 0 ? axis + shape.rank : axis
    func misfit() -> SwiftletError {
      SwiftletError(
        .badInput,
        "scales \(scale) of \(opType) do not match axis \(axis) of shape \(shape)"
          + (blockSize > 0 ? " in blocks of \(blockSize)" : ""))
    }
    guard 0..<shape.rank ~= resolved else { throw misfit() }
    extent = shape[resolved]
    inner = shape.count(of: resolved + 1..<shape.rank)
    guard blockSize > 0 else {
      guard scale.rank == 1, extent == scale.count else { throw misfit() }
      (kind, self.blockSize) = (.axis, 1)
      return
    }
    let blocks = extent / blockSize + (extent % blockSize > 0 ? 1 : 0)
    guard scale == shape.replacing(axis: resolved, with: blocks) else { throw misfit() }
    (kind, self.blockSize) = (.blocks, blockSize)
  }

  /// Whether elements that share a scale form long runs.
  var hasRuns: Bool { kind != .blocks }

  /// The index of the scale of the element at `position`.
  @inline(__always)
  func scaleIndex(_ position: Int) -> Int {
    switch kind {
    case .tensor: return 0
    case .axis: return position / inner % extent
    case .blocks:
      let (row, column) = (position / inner, position % inner)
      let blocks = (extent + blockSize - 1) / blockSize
      return (row / extent * blocks + row % extent / blockSize) * inner + column
    }
  }

  /// Visits the runs of elements that share a scale: their range, the scale's index, the output.
  ///
  /// - Precondition: ``hasRuns``.
  func forEachRun<Element>(
    of tensor: inout Tensor<Element>, _ threads: Threads,
    _ body: @Sendable (Range<Int>, Int, inout MutableSpan<Element>) -> Void
  ) {
    let shape = tensor.shape
    guard tensor.count > 0 else { return }
    // With one scale elements are divided among the threads anywhere, with several only between
    // runs.
    let length = kind == .tensor ? 1 : inner
    let channels = extent
    var rows = tensor.reshaped(to: [tensor.count / length, length])
    // Drops the second reference, so that the elements are written in place.
    tensor = Tensor(uninitialized: [0])
    threads.forEachBlock(of: &rows) { range, output in
      if channels == 1 {
        return body(range.lowerBound * length..<range.upperBound * length, 0, &output)
      }
      for run in range {
        let start = (run - range.lowerBound) * length
        var part = output.part(start..<start + length)
        body(run * length..<(run + 1) * length, run % channels, &part)
      }
    }
    tensor = rows.reshaped(to: shape)
  }

  /// Computes each element of a tensor from its position and the index of its scale.
  func fill<Element>(
    _ tensor: inout Tensor<Element>, _ threads: Threads,
    _ body: @Sendable (_ position: Int, _ scale: Int) -> Element
  ) {
    let shape = tensor.shape
    var flat = Tensor<Element>(uninitialized: [shape.count])
    threads.forEachBlock(of: &flat) { range, output in
      for position in range {
        output[position - range.lowerBound] = body(position, scaleIndex(position))
      }
    }
    tensor = flat.reshaped(to: shape)
  }
}
