// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// y = x.
///
/// - Source: ONNX `Identity`.
public struct Identity: MovingOperator, FloatOperator {
  public static let opType = "Identity"
  public let gradientReads = GradientReads()

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try required(inputs, 0, "input")]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    [inputs[0].take()!]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    [x]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    [outputGradient]
  }
}
