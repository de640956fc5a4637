package import SwiftletCore

extension Session {
  /// Computes all outputs, in the order of ``outputNames``, from all inputs, in that of ``inputs``:
  /// what an interface calls that has looked the names up before.
  ///
  /// - Precondition: Types and extents are those that the inputs declare.
  /// - Throws: `badInput` for shapes that do not fit each other.
  package func run(fitting tensors: [AnyTensor]) throws -> [AnyTensor] { try core.run(tensors) }
}
