// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The input broadcast to the common shape of itself and the second input.
///
/// - Source: ONNX `Expand`.
public struct Expand: MovingOperator, FloatOperator {
  public static let opType = "Expand"
  public let gradientReads = GradientReads()

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    _ = try required(inputs, 1, "shape")
    let extents = try integers(inputs, 1, "shape") ?? []
    return [TensorInfo(x.dtype, try target(x.shape, extents))]
  }

  private func target(_ shape: Shape, _ extents: [Int]) throws -> Shape {
    guard let target = shape.broadcast(with: try Shape(checking: extents)) else {
      throw mismatch("\(shape) does not broadcast with \(extents)")
    }
    return target
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    [x.filling(try target(x.shape, inputs[1]?.integers ?? []))]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] { try movedGradient(call, outputGradient) }
}
