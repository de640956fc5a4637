// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import Testing

/// Expects `body` to throw a ``SwiftletError`` of the given code whose line holds every fragment.
public func expectError<R>(
  _ code: SwiftletError.Code, _ fragments: String...,
  sourceLocation: SourceLocation = #_sourceLocation, body: () throws -> R
) {
  let error = #expect(throws: SwiftletError.self, sourceLocation: sourceLocation) {
    _ = try body()
  }
  guard let error else { return }
  #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  for fragment in fragments {
    #expect(error.description.contains(fragment), "\(error)", sourceLocation: sourceLocation)
  }
}
