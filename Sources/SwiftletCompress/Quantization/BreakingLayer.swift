// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Finds the node of a modified model at which values stop being finite.
enum BreakingLayer {
  /// The first node, in order of execution, that turns finite inputs into NaN or infinite elements
  /// where the original model has finite ones, for example `Div 'y'`.
  ///
  /// - Returns: `nil` if there is none, or if one of the models cannot be run node by node.
  static func find(
    _ original: Graph, _ other: Graph, _ inputs: [String: AnyTensor], _ threads: Threads
  ) -> String? {
    guard let before = try? brokenValues(of: original, inputs, threads),
      let after = try? brokenValues(of: other, inputs, threads)
    else { return nil }
    /// Whether a value has non-finite elements that are finite in the original model, or missing
    /// from it.
    func isNew(_ name: String) -> Bool {
      guard let own = after[name] else { return false }
      guard let known = before[name], known.count == own.count else { return true }
      return zip(own, known).contains { $0 && !$1 }
    }
    let node = other.expandingQuantizedOperators().nodes.first { node in
      node.outputs.contains(where: isNew) && !node.reads.contains(where: isNew)
    }
    return node.map { "\($0.opType) '\($0.reportName)'" }
  }

  /// For each value with NaN or infinite elements, which of its elements those are.
  private static func brokenValues(
    of graph: Graph, _ inputs: [String: AnyTensor], _ threads: Threads
  ) throws -> [String: [Bool]] {
    var values: [String: [Bool]] = [:]
    let interpreter = try Interpreter(graph.expandingQuantizedOperators())
    _ = try interpreter.run(inputs, ExecutionContext(threads: threads)) { name, value in
      switch value {
      case .float32(let tensor) where !tensor.isFinite:
        values[name] = tensor.elements.map { !$0.isFinite }
      case .float64(let tensor) where !tensor.isFinite:
        values[name] = tensor.elements.map { !$0.isFinite }
      default: break
      }
    }
    return values
  }
}
