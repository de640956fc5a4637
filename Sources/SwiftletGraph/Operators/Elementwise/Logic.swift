// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Logical operations on booleans, elementwise with broadcasting.
///
/// - Source: ONNX `And`, `Or`, `Xor`.
public struct Logic: Operator {
  public static let opType = "Logic"
  public static let opTypes = ["And", "Or", "Xor"]
  private let name: String

  public init(_ node: Node, opset: Int) throws { name = node.opType }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try broadcasting(inputs) { $0 == .bool }]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let (a, b) = (try inputs[0]!.require(Bool.self), try inputs[1]!.require(Bool.self))
    let name = name
    var result = a.filling(a.shape.broadcast(with: b.shape)!)
    update(&result, with: b, context.threads) { row, b in
      switch name {
      case "And": combine(&row, b) { $0 && $1 }
      case "Or": combine(&row, b) { $0 || $1 }
      default: combine(&row, b) { $0 != $1 }
      }
    }
    return [.bool(result)]
  }
}
