// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
package import SwiftletGraph

extension Graph {
  /// The graph with an Identity for each `Cast` from fp32 to fp32, or to a float of 16 bits, that
  /// files of such floats have at their edges and between layers: all are fp32 here, and gradients
  /// flow through the rounding as if it were none.
  ///
  /// - Source: Bengio, Léonard & Courville 2013, arXiv:1308.3432 (straight-through).
  package func withoutFloatCasts() -> Graph {
    let casts = Set(Cast.opTypes)
    guard nodes.contains(where: { casts.contains($0.opType) }), let interpreter = try? Interpreter(self) else {
      return self
    }
    let infos = (try? interpreter.infer(interpreter.inputShapes(batch: 2))) ?? [:]
    var graph = self
    for (index, node) in nodes.enumerated() where casts.contains(node.opType) {
      guard let from = infos[node.inputs[0]], let to = infos[node.outputs[0]],
        from.dtype == .float32, to.dtype == .float32
      else { continue }
      graph.nodes[index].opType = "Identity"
      graph.nodes[index].inputs = [node.inputs[0]]
      graph.nodes[index].attributes = [:]
    }
    return graph
  }
}
