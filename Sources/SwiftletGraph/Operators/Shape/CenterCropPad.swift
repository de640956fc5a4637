// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The input with axes changed to given lengths, evenly at both ends: cropped if they are longer,
/// padded with zeros if they are shorter.
///
/// - Source: ONNX `CenterCropPad`. For an odd number of elements, the end loses or gains one more.
public struct CenterCropPad: MovingOperator {
  public static let opType = "CenterCropPad"
  private let axes: [Int]?

  public init(_ node: Node, opset: Int) throws { axes = try node.ints("axes") }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    _ = try required(inputs, 1, "shape")
    let extents = try extents(x.shape, integers(inputs, 1, "shape") ?? [])
    return [TensorInfo(x.dtype, try Shape(checking: extents))]
  }

  private func extents(_ shape: Shape, _ lengths: [Int]) throws -> [Int] {
    let axes = try self.axes(axes ?? Array(0..<shape.rank), rank: shape.rank)
    guard axes.count == lengths.count, lengths.allSatisfy({ 0...TensorInfo.elementLimit ~= $0 })
    else { throw mismatch("lengths \(lengths) do not match \(axes.count) axes of \(shape)") }
    var extents = shape.dimensions
    for (axis, length) in zip(axes, lengths) { extents[axis] = length }
    return extents
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    var result = x.contiguous()
    for (axis, length) in try extents(result.shape, inputs[1]!.integers).enumerated() {
      let extent = result.shape[axis]
      if length <= extent {
        let start = (extent - length) / 2
        result = result.slice(axis: axis, range: start..<start + length).contiguous()
        continue
      }
      let inner = result.shape.count(of: axis + 1..<result.shape.rank)
      let before = (length - extent) / 2
      var padded = Tensor<T>(zeros: result.shape.replacing(axis: axis, with: length))
      var target = padded.mutableSpan
      for outer in 0..<result.shape.count(of: 0..<axis) {
        let run = outer * extent * inner..<(outer + 1) * extent * inner
        target.copy(result.span.extracting(run), to: (outer * length + before) * inner)
      }
      result = padded
    }
    return [result]
  }
}
