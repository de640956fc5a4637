// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// An operator that moves its first input's elements to other positions, whatever their type.
public protocol MovingOperator: Operator {
  /// Computes the outputs from the first input, which has been removed from `inputs`.
  func move<T: TensorElement>(_ x: consuming Tensor<T>, _ inputs: [AnyTensor?]) throws -> [Tensor<
    T
  >]
}

extension MovingOperator {
  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    try moveAny(&inputs)
  }

  fileprivate func moveAny(_ inputs: inout [AnyTensor?]) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    func opened<T: TensorElement>(_: T.Type, _ inputs: [AnyTensor?]) throws -> [AnyTensor] {
      try move(x.require(T.self), inputs).map(AnyTensor.init)
    }
    return try opened(x.dtype.elementType, inputs)
  }
}

extension MovingOperator where Self: FloatOperator {
  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    try moveAny(&inputs)
  }

  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0].take()!
    return try move(x, inputs.map { $0.map(AnyTensor.init) })
  }
}
