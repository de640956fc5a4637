// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Elementwise nonlinear functions of one number.
///
/// - Source: ONNX operators of these names. `Gelu` has the attribute `approximate`, `Selu` a
///   `gamma`, whose parameters are rounded to five digits up to operator set 5.
public struct Activation: FloatOperator {
  public static let opType = "Activation"
  public static let opTypes = [
    "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
  ]
  public let gradientReads = GradientReads(inputs: [0])
  private let function: ActivationFunction

  public init(_ node: Node, opset: Int) throws {
    let kind: ActivationFunction.Kind
    switch try node.string("approximate", default: "none") {
    case "none": kind = ActivationFunction.Kind(rawValue: node.opType)!
    case "tanh" where node.opType == "Gelu": kind = .geluTanh
    case let other:
      throw SwiftletError(
        .badInput,
        "\(node.opType) has approximate '\(other)', which must be none"
          + (node.opType == "Gelu" ? " or tanh" : ""))
    }
    let second = kind == .selu ? "gamma" : "beta"
    let defaults = kind == .selu && opset < 6 ? (alpha: 1.6732, beta: 1.0507) : kind.defaults
    function = ActivationFunction(
      kind, alpha: try node.float("alpha", default: defaults.alpha),
      beta: try node.float(second, default: defaults.beta))
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    return [TensorInfo(x.dtype, x.shape)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    var y = inputs[0].take()!
    let function = function
    context.threads.forEachBlock(of: &y) { _, values in function.apply(&values) }
    return [y]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    var slope = outputGradient
    let function = function
    update(&slope, with: call.inputs[0]!, context.threads) { values, x in
      function.multiplyByDerivative(&values, at: x)
    }
    return [slope]
  }
}
