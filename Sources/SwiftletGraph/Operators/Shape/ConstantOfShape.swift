// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A tensor of the shape that the input lists, filled with one value: zero in fp32 by default.
///
/// - Source: ONNX `ConstantOfShape`.
public struct ConstantOfShape: Operator {
  public static let opType = "ConstantOfShape"
  private let value: AnyTensor

  public init(_ node: Node, opset: Int) throws {
    switch node.attributes["value"] {
    case nil: value = .float32(Tensor([1], [0]))
    case .tensor(let tensor) where tensor.shape.count == 1 && tensor.shape.rank <= 1:
      value = tensor
    default: throw SwiftletError(.badInput, "the value of ConstantOfShape is not a single element")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    _ = try required(inputs, 0, "shape")
    let extents = try integers(inputs, 0, "shape") ?? []
    return [TensorInfo(value.dtype, try Shape(checking: extents))]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let shape = try Shape(checking: inputs[0]?.integers ?? [])
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(try value.require(T.self).reshaped(to: .scalar).filling(shape))
    }
    return [try opened(value.dtype.elementType)]
  }
}
