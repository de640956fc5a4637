// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The remainder of a / b, elementwise with broadcasting: with the sign of b, or with `fmod = 1`
/// that of a. 0 if the integer b is 0.
///
/// - Source: ONNX `Mod`.
public struct Mod: Operator {
  public static let opType = "Mod"
  private let keepsSign: Bool

  public init(_ node: Node, opset: Int) throws {
    keepsSign = try node.int("fmod", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try broadcasting(inputs, where: \.isNumber)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let (a, b) = (inputs[0].take()!, inputs[1].take()!)
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(remainder(try a.require(T.self), try b.require(T.self), context.threads))
    }
    return [try opened(a.dtype.numberType())]
  }

  @specialized(where T == Float)
  @specialized(where T == Int64)
  private func remainder<T: NumberElement>(
    _ a: Tensor<T>, _ b: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    let keepsSign = keepsSign
    var result = a.filling(a.shape.broadcast(with: b.shape)!)
    update(&result, with: b, threads) { row, b in
      if keepsSign {
        combine(&row, b) { $0.remainder($1) }
      } else {
        combine(&row, b) { $0.modulo($1) }
      }
    }
    return result
  }
}
