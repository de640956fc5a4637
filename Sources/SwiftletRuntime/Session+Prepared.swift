// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore

extension Session {
  /// A session prepared for inputs of fixed shapes: for interfaces that run the same shapes
  /// repeatedly and have resolved the names in advance.
  package struct Prepared: Sendable {
    private let core: Core
    private let compiled: Compiled

    fileprivate init(_ core: Core, _ compiled: Compiled) {
      (self.core, self.compiled) = (core, compiled)
    }

    /// Computes all outputs, in the order of ``Session/outputNames``.
    ///
    /// - Precondition: The tensors have the declared types of the inputs, are in their order, and
    ///   have the shapes it was prepared for.
    package func run(_ tensors: [AnyTensor]) throws -> [AnyTensor] {
      try core.run(tensors, compiled)
    }
  }

  /// - Parameter shapes: In the order of ``inputs``, with the declared ranks and extents.
  /// - Throws: `badInput` for shapes that do not match.
  package func prepared(_ shapes: [Shape]) throws -> Prepared {
    Prepared(core, try core.compiled(for: shapes))
  }
}
