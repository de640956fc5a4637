// SPDX-License-Identifier: Apache-2.0

package import SwiftletGraph
package import SwiftletTraining

/// A technique: a graph in, a smaller one out, and what was done to each layer.
package protocol CompressionPass: Sendable {
  /// - Throws: `unsupported` if the technique cannot be applied to the graph at all. A single layer
  ///   that does not fit is kept, with the reason in its report.
  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport])
}

/// A technique that trains.
package protocol TrainingPass: CompressionPass {
  /// As ``CompressionPass/apply(to:_:)``.
  func train(_ graph: Graph, _ context: CompressionContext) throws -> TrainedResult
}

/// What a pass that trains leaves.
package struct TrainedResult {
  package let graph: Graph
  package let layers: [LayerReport]
  /// What each epoch reached; `nil` if nothing was trained after all.
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
