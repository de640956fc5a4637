// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The blocks addressed by the rows of the second input, which hold leading indices.
///
/// - Source: ONNX `GatherND`.
public struct GatherND: MovingOperator {
  public static let opType = "GatherND"
  private let batch: Int

  public init(_ node: Node, opset: Int) throws { batch = try node.int("batch_dims", default: 0) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let indices = try required(inputs, 1, "indices") { $0 == .int64 }
    return [TensorInfo(x.dtype, try target(x.shape, indices.shape))]
  }

  private func target(_ shape: Shape, _ indices: Shape) throws -> Shape {
    let block = try blockShape(indices, shape, batch: batch)
    return try Shape(checking: Array(indices.dimensions.dropLast()) + block)
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let (shape, indices) = (x.shape, inputs[1]!)
    let length = Shape(try blockShape(indices.shape, shape, batch: batch)).count
    let places = try blockPlaces(indices, batch: batch, in: shape)
    return [x.gathering(places, length: length, shape: try target(shape, indices.shape))]
  }
}
