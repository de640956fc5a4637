// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The value of a node's named attribute.
public enum Attribute: Sendable, Equatable {
  case int(Int)
  case float(Float)
  case string(String)
  case ints([Int])
  case floats([Float])
  case strings([String])
  case tensor(AnyTensor)
  /// A subgraph that the node runs; it may read values of the enclosing graph.
  case graph(Graph)
  /// A value of an unknown kind, in its encoded form.
  case unread([UInt8])

  public static func == (a: Attribute, b: Attribute) -> Bool {
    switch (a, b) {
    case (.int(let x), .int(let y)): x == y
    case (.float(let x), .float(let y)): x.bitPattern == y.bitPattern
    case (.string(let x), .string(let y)): x == y
    case (.ints(let x), .ints(let y)): x == y
    case (.floats(let x), .floats(let y)): x.map(\.bitPattern) == y.map(\.bitPattern)
    case (.strings(let x), .strings(let y)): x == y
    case (.tensor(let x), .tensor(let y)): x == y
    case (.graph(let x), .graph(let y)): x == y
    case (.unread(let x), .unread(let y)): x == y
    default: false
    }
  }
}

extension Node {
  /// Integer attribute `name`, or `default` if the node lacks it.
  ///
  /// - Throws: `badInput` if the attribute is of another kind.
  public func int(_ name: String, default fallback: Int) throws -> Int {
    switch attributes[name] {
    case nil: fallback
    case .int(let value): value
    default: throw wrongKind(name, "an integer")
    }
  }

  /// Floating-point attribute `name`, or `default`.
  public func float(_ name: String, default fallback: Float) throws -> Float {
    switch attributes[name] {
    case nil: fallback
    case .float(let value): value
    default: throw wrongKind(name, "a number")
    }
  }

  /// List attribute `name`, or `nil`.
  public func ints(_ name: String) throws -> [Int]? {
    switch attributes[name] {
    case nil: nil
    case .ints(let values): values
    default: throw wrongKind(name, "a list of integers")
    }
  }

  /// Attribute `name`, a list of numbers, or `nil`.
  public func floats(_ name: String) throws -> [Float]? {
    switch attributes[name] {
    case nil: nil
    case .floats(let values): values
    default: throw wrongKind(name, "a list of numbers")
    }
  }

  /// Attribute `name`, a list of strings, or `nil`.
  public func strings(_ name: String) throws -> [String]? {
    switch attributes[name] {
    case nil: nil
    case .strings(let values): values
    default: throw wrongKind(name, "a list of strings")
    }
  }

  /// String attribute `name`, or `default`.
  public func string(_ name: String, default fallback: String) throws -> String {
    switch attributes[name] {
    case nil: fallback
    case .string(let value): value
    default: throw wrongKind(name, "a text")
    }
  }

  /// Graph attribute `name`.
  ///
  /// - Throws: `badInput` if the node lacks it.
  public func graph(_ name: String) throws -> Graph {
    guard case .graph(let graph) = attributes[name] else { throw wrongKind(name, "a graph") }
    return graph
  }

  private func wrongKind(_ name: String, _ expected: String) -> SwiftletError {
    SwiftletError(.badInput, "attribute '\(name)' of \(opType) is not \(expected)")
  }
}
