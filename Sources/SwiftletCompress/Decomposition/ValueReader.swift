// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

/// Runs a model as far as some of its values, and reads these.
struct ValueReader: Sendable {
  private let session: Session?
  private let passed: [String]

  /// - Throws: As ``Session/init(_:threads:precision:)``.
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

  /// The values for some inputs, by name.
  ///
  /// - Throws: `numerical` naming a value with NaN or infinite elements, if they are to be finite;
  ///   `unsupported` if one is not fp32.
  func read(
    _ inputs: [String: AnyTensor], finite isFinite: Bool = true
  ) throws -> [String: Tensor<Float>] {
    var results = inputs.filter { passed.contains($0.key) }
    if let session {
      // Inputs that the shorter model does not read are not given to it.
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
  /// The graph as far as some values, which are its outputs; what they do not need is left out.
  func ending(at values: [String]) throws -> Graph {
    let interpreter = try Interpreter(self)
    // Extents that a model leaves open may make no sense as 1: shapes are whatever they turn out to
    // be.
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
