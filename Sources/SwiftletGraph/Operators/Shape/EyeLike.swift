// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A matrix of the input's shape with ones on the k-th diagonal, of the type `dtype` or the
/// input's.
///
/// - Source: ONNX `EyeLike`.
public struct EyeLike: Operator {
  public static let opType = "EyeLike"
  private let diagonal: Int
  private let dtype: DType?

  public init(_ node: Node, opset: Int) throws {
    diagonal = try node.int("k", default: 0)
    guard node.attributes["dtype"] != nil else {
      dtype = nil
      return
    }
    let number = try node.int("dtype", default: 0)
    guard let dtype = DType(onnx: number) else {
      throw SwiftletError(.unsupported, "EyeLike of ONNX type \(number) is not supported")
    }
    self.dtype = dtype
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    guard x.shape.rank == 2 else { throw mismatch("\(x.shape) is not a matrix") }
    return [TensorInfo(dtype ?? x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let shape = inputs[0]!.shape
    // A diagonal out of reach is empty and must not overflow.
    let k = min(max(diagonal, -shape[0]), shape[1])
    var ones = Tensor<Bool>(zeros: shape)
    var values = ones.mutableSpan
    for row in max(0, -k)..<max(0, -k, min(shape[0], shape[1] - k)) {
      values[row * shape[1] + row + k] = true
    }
    return [AnyTensor.bool(ones).converted(to: dtype ?? inputs[0]!.dtype)]
  }
}
