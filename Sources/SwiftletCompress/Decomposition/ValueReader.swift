// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

/// Runs a model as far as needed for some of its values, and returns these.
struct ValueReader: Sendable {
  private let session: Session?
  private let passed: [String]

  /// Prepares reading the named values of a graph.
  ///
  /// - Throws: The errors of creating a session.
  init(_ graph: Graph, _ values: [String], threads: Threads) throws {
    let inputs = Set(graph.inputs.map(\.name))
    passed = values.filter(inputs.contains)
    var wanted: [String] = []
    for value in values where !inputs.contains(value) && !wanted.contains(value) {
      wanted.append(value)
    }
    guard !wanted.isEmpty else {
      session = nil
      return
    }
    session = try Session(try graph.ending(at: wanted), threads: threads)
  }

  /// The values for the given inputs, by name.
  ///
  /// - Parameters:
  ///   - inputs: The model's inputs, by name.
  ///   - isFinite: Whether to refuse values that are not finite.
  /// - Throws: `numerical` naming a value with NaN or infinite elements, unless they are allowed;
  ///   `unsupported` if a value is not fp32.
  func read(
    _ inputs: [String: AnyTensor], finite isFinite: Bool = true
  ) throws -> [String: Tensor<Float>] {
    var results = inputs.filter { passed.contains($0.key) }
    if let session {
      // Omit inputs that the shortened model does not have.
      let known = Set(session.inputs.map(\.name))
      results.merge(try session.run(inputs.filter { known.contains($0.key) })) { first, _ in first }
    }
    return try Dictionary(
      uniqueKeysWithValues: results.map { name, value in
        let tensor: Tensor<Float> = try locating("value '\(name)'") { try value.require() }
        if isFinite { try tensor.requireFinite(name) }
        return (name, tensor)
      })
  }
}

extension Graph {
  /// The graph with only the nodes needed for some values, which become its outputs.
  func ending(at values: [String]) throws -> Graph {
    let interpreter = try Interpreter(self)
    // Symbolic extents may be invalid as 1; the shapes then stay unknown.
    let infos = (try? interpreter.infer(interpreter.inputShapes(batch: 1))) ?? [:]
    var result = self
    result.outputs = values.map { name in
      let rank = infos[name]?.shape.rank ?? 0
      return ValueInfo(
        name, infos[name]?.dtype ?? .float32,
        (0..<rank).map { .symbolic("\(name).\($0)") })
    }
    let needed = result.removeUnusedNodes()
    result.inputs = inputs.filter { needed.contains($0.name) }
    result.removeUnusedInitializers()
    return result
  }
}
