// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// y = x where x ≥ 0, slope · x elsewhere, with slopes broadcast to the shape of x.
///
/// - Source: ONNX `PRelu`; He et al. 2015.
public struct PRelu: FloatOperator {
  public static let opType = "PRelu"
  public let gradientReads = GradientReads(inputs: [0, 1])

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    let slope = try required(inputs, 1, "slope")
    guard slope.dtype == x.dtype, slope.shape.broadcast(with: x.shape) == x.shape else {
      throw mismatch(
        "slopes \(slope.dtype) \(slope.shape) do not match input \(x.dtype) \(x.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    var y = inputs[0].take()!
    update(&y, with: inputs[1]!, context.threads) { values, slopes in
      combine(&values, slopes) { $0 < 0 ? $0 * $1 : $0 }
    }
    return [y]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let (x, slope) = (call.inputs[0]!, call.inputs[1]!)
    let dy = outputGradient
    var result: [Tensor<T>?] = [nil, nil]
    if call.wanted[1] {
      var part = x
      update(&part, with: dy, context.threads) { values, dy in
        combine(&values, dy) { $0 < 0 ? $0 * $1 : 0 }
      }
      result[1] = Broadcast(slope.shape, to: x.shape).sum(part.contiguous())
    }
    if call.wanted[0] {
      var dx = x
      update(&dx, with: slope, dy, context.threads) { values, slopes, dy in
        combine(&values, slopes) { $0 < 0 ? $1 : 1 }
        combine(&values, dy) { $0 * $1 }
      }
      result[0] = dx
    }
    return result
  }
}
