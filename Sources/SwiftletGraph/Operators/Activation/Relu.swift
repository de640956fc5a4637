// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// y = max(x, 0), elementwise. NaN stays NaN.
///
/// - Source: ONNX `Relu`.
public struct Relu: FloatOperator {
  public static let opType = "Relu"
  public let gradientReads = GradientReads(outputs: [0])

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try floating(inputs, 0, "input")]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    var y = inputs[0].take()!
    context.threads.forEachBlock(of: &y) { _, values in T.relu(&values) }
    return [y]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    var slope = outputGradient
    let y = call.outputs[0]!.contiguous()
    let rowLength = y.shape.rank == 0 ? 1 : y.count / max(1, y.shape[0])
    context.threads.forEachBlock(of: &slope) { rows, values in
      let outputs = y.span.extracting(
        rows.lowerBound * rowLength..<rows.upperBound * rowLength)
      T.reluGradient(outputs, &values)
    }
    return [slope]
  }
}
