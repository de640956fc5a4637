// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Bitwise operations and shifts of integers, elementwise with broadcasting. Bits shifted out are
/// lost, however large the shift; a negative shift counts as the largest.
///
/// - Source: ONNX `BitwiseAnd`, `BitwiseOr`, `BitwiseXor`, `BitShift`.
public struct Bitwise: Operator {
  public static let opType = "Bitwise"
  public static let opTypes = ["BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift"]
  private enum Kind { case and, or, xor, left, right }
  private let kind: Kind

  public init(_ node: Node, opset: Int) throws {
    switch node.opType {
    case "BitwiseAnd": kind = .and
    case "BitwiseOr": kind = .or
    case "BitwiseXor": kind = .xor
    default:
      let direction = try node.string("direction", default: "")
      guard direction == "LEFT" || direction == "RIGHT" else {
        throw SwiftletError(
          .badInput, "BitShift has direction '\(direction)', which must be LEFT or RIGHT")
      }
      kind = direction == "LEFT" ? .left : .right
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try broadcasting(inputs, where: \.isInteger)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let (a, b) = (inputs[0].take()!, inputs[1].take()!)
    func opened<T: IntegerElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(compute(try a.require(T.self), try b.require(T.self), context.threads))
    }
    return [try opened(a.dtype.integerType())]
  }

  private func compute<T: IntegerElement>(
    _ a: Tensor<T>, _ b: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    let kind = kind
    var result = a.filling(a.shape.broadcast(with: b.shape)!)
    update(&result, with: b, threads) { row, b in
      switch kind {
      case .and: combine(&row, b) { $0 & $1 }
      case .or: combine(&row, b) { $0 | $1 }
      case .xor: combine(&row, b) { $0 ^ $1 }
      case .left: combine(&row, b) { $0 << ($1 < 0 ? T(T.bitWidth) : $1) }
      case .right: combine(&row, b) { $0 >> ($1 < 0 ? T(T.bitWidth) : $1) }
      }
    }
    return result
  }
}
