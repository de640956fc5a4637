public import SwiftletCore

/// A differentiable operator that computes on elements of several types: what it does to any tensors is
/// what it does to floats.
///
/// Conforming types give the `forward` of `AnyTensor`; the default of `FloatOperator` would call back.
public protocol AnyElementOperator: FloatOperator {}

extension AnyElementOperator {
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    var operands = inputs.map { $0.map(AnyTensor.init) }
    // The operands must be the only references, or nothing could be reused in place.
    inputs.removeAll()
    return try forward(&operands, context).map { try $0.require() }
  }
}
