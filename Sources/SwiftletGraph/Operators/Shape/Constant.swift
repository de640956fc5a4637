// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A tensor stored in the node.
///
/// - Source: ONNX `Constant`, with all attributes except strings and sparse tensors.
public struct Constant: Operator {
  public static let opType = "Constant"
  private let value: AnyTensor

  public init(_ node: Node, opset: Int) throws {
    guard let attribute = node.attributes.first, node.attributes.count == 1 else {
      throw SwiftletError(
        .badInput, "Constant has \(node.attributes.count) values, but must have one")
    }
    switch attribute.value {
    case .tensor(let tensor): value = tensor
    case .int(let number): value = .int64(Tensor(.scalar, [Int64(number)]))
    case .ints(let numbers): value = .int64(Tensor([numbers.count], numbers.map(Int64.init)))
    case .float(let number): value = .float32(Tensor(.scalar, [number]))
    case .floats(let numbers): value = .float32(Tensor([numbers.count], numbers))
    default: throw SwiftletError(.unsupported, "Constant with \(attribute.key) is not supported")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [TensorInfo(value.dtype, value.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    [value]
  }
}
