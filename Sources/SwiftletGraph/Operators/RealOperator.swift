// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// An operator without gradient on fp32 or fp64 inputs, in the type of the first input.
///
/// Conforming types mark their arithmetic `@specialized` for both, because it is called through an
/// existential.
public protocol RealOperator: Operator {
  func compute<T: LayerElement>(
    _ inputs: [AnyTensor?], as _: T.Type, _ threads: Threads
  ) throws -> [Tensor<T>]
}

extension RealOperator {
  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    if case .float64 = inputs[0] {
      return try compute(inputs, as: Double.self, context.threads).map(AnyTensor.init)
    }
    return try compute(inputs, as: Float.self, context.threads).map(AnyTensor.init)
  }
}
