package import SwiftletCore

extension Session {
  /// A session made ready for inputs of some shapes: what an interface keeps that runs the same shapes
  /// again and again, and has looked the names up before.
  package struct Prepared: Sendable {
    private let core: Core
    private let compiled: Compiled

    fileprivate init(_ core: Core, _ compiled: Compiled) {
      (self.core, self.compiled) = (core, compiled)
    }

    /// Computes all outputs, in the order of ``Session/outputNames``.
    ///
    /// - Precondition: The tensors are of the types that the inputs declare, in their order, and of
    ///   the shapes that it was made for.
    package func run(_ tensors: [AnyTensor]) throws -> [AnyTensor] {
      try core.run(tensors, compiled)
    }
  }

  /// - Parameter shapes: In the order of ``inputs``, with the extents that these declare.
  /// - Throws: `badInput` for shapes that do not fit each other.
  package func prepared(_ shapes: [Shape]) throws -> Prepared {
    Prepared(core, try core.compiled(for: shapes))
  }
}
