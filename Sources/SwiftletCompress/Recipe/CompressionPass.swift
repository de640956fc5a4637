// SPDX-License-Identifier: Apache-2.0

package import SwiftletGraph
package import SwiftletTraining

/// Applies a technique: takes a graph and returns a smaller one, with a report for each layer.
package protocol CompressionPass: Sendable {
  /// Applies the technique to a graph.
  ///
  /// - Throws: `unsupported` if the technique cannot be applied to the graph at all. A single layer
  ///   that it cannot change is kept, with the reason in its report.
  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport])
}

/// A pass that trains.
package protocol TrainingPass: CompressionPass {
  /// Like ``CompressionPass/apply(to:_:)``, with the training history.
  func train(_ graph: Graph, _ context: CompressionContext) throws -> TrainedResult
}

/// The result of a pass that trains.
package struct TrainedResult {
  /// The trained graph.
  package let graph: Graph
  /// A report for each layer that was changed or kept.
  package let layers: [LayerReport]
  /// The training history; `nil` if nothing was trained after all.
  package let history: TrainingHistory?
}

extension TrainingPass {
  package func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let result = try train(graph, context)
    return (result.graph, result.layers)
  }
}
