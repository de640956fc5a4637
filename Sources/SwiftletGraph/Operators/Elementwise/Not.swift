// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The logical negation, or for `BitwiseNot` the bitwise complement.
///
/// - Source: ONNX `Not`, `BitwiseNot`.
public struct Not: Operator {
  public static let opType = "Not"
  public static let opTypes = ["Not", "BitwiseNot"]
  private let isBitwise: Bool

  public init(_ node: Node, opset: Int) throws { isBitwise = node.opType == "BitwiseNot" }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input") { isBitwise ? $0.isInteger : $0 == .bool }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0]!
    if case .bool(let x) = x { return [.bool(x.map { !$0 })] }
    func opened<T: IntegerElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(try x.require(T.self).map { ~$0 })
    }
    return [try opened(x.dtype.integerType())]
  }
}
