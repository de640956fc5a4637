// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// For each index, the element at its own position, except along one axis, where the index gives
/// the position.
///
/// - Source: ONNX `GatherElements`.
public struct GatherElements: MovingOperator {
  public static let opType = "GatherElements"
  private let axis: Int

  public init(_ node: Node, opset: Int) throws { axis = try node.int("axis", default: 0) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let indices = try required(inputs, 1, "indices") { $0 == .int64 || $0 == .int32 }
    try checkElementIndices(indices, x.shape, axis: axis(axis, rank: x.shape.rank))
    return [TensorInfo(x.dtype, indices.shape)]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let indices = inputs[1]!
    let axis = try axis(axis, rank: x.shape.rank)
    let places = try elementPlaces(indices, along: axis, in: x.shape)
    return [x.gathering(places, length: 1, shape: indices.shape)]
  }
}
