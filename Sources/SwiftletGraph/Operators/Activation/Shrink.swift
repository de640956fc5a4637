// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// x + bias below −lambda, x − bias above lambda, 0 in between.
///
/// - Source: ONNX `Shrink`.
public struct Shrink: Operator {
  public static let opType = "Shrink"
  private let bias, lambda: Float

  public init(_ node: Node, opset: Int) throws {
    bias = try node.float("bias", default: 0)
    lambda = try node.float("lambd", default: 0.5)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0].take()! {
    case .float64(let x): [.float64(shrunk(x))]
    case let x: [.float32(shrunk(try x.require()))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func shrunk<T: LayerElement>(_ x: Tensor<T>) -> Tensor<T> {
    let (bias, lambda) = (T(bias), T(lambda))
    return x.map { $0 < -lambda ? $0 + bias : $0 > lambda ? $0 - bias : 0 }
  }
}
