// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Where values of a changed model stop being finite.
enum BreakingLayer {
  /// The first node, as the model runs, that makes NaN or infinite values of finite ones, where the
  /// original model has none: `Div 'y'`.
  ///
  /// - Returns: `nil` if there is none, or a model cannot be run step by step.
  static func find(
    _ original: Graph, _ other: Graph, _ inputs: [String: AnyTensor], _ threads: Threads
  ) -> String? {
    guard let before = try? brokenValues(of: original, inputs, threads),
      let after = try? brokenValues(of: other, inputs, threads)
    else { return nil }
    /// Whether a value has elements that are finite in the original, or is not there.
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

  /// Which elements are NaN or infinite, of the values that have such.
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
