// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Merges the axes before `axis`, and those from it on, into a matrix.
///
/// - Source: ONNX `Flatten`.
public struct Flatten: MovingOperator, FloatOperator {
  public static let opType = "Flatten"
  public let gradientReads = GradientReads()
  private let axis: Int

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 1)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    guard -x.shape.rank...x.shape.rank ~= axis else {
      throw mismatch("axis \(axis) is out of range for shape \(x.shape)")
    }
    return [TensorInfo(x.dtype, flattened(x.shape))]
  }

  private func flattened(_ shape: Shape) -> Shape {
    let split = axis < 0 ? axis + shape.rank : axis
    return [shape.count(of: 0..<split), shape.count(of: split..<shape.rank)]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    [x.reshaped(to: flattened(x.shape))]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    [outputGradient.reshaped(to: call.inputShapes[0]!)]
  }
}
