// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A differentiable operator that computes on several element types: its behaviour on arbitrary
/// tensors is its behaviour on floats.
///
/// Conforming types implement `forward` for `AnyTensor`; the default of `FloatOperator` would call
/// back.
public protocol AnyElementOperator: FloatOperator {}

extension AnyElementOperator {
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    var operands = inputs.map { $0.map(AnyTensor.init) }
    // The operands must be the only references, otherwise nothing could be reused in place.
    inputs.removeAll()
    return try forward(&operands, context).map { try $0.require() }
  }
}
