// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

extension Graph {
  /// The graph with one Slice per part of each Split: gradients flow back from a single result of a
  /// node.
  ///
  /// A Split whose parts have unknown lengths is unchanged, and so is one along the batch.
  package func withSlicesForSplits() -> Graph {
    guard nodes.contains(where: { $0.opType == "Split" }),
      let interpreter = try? Interpreter(self), let infos = try? interpreter.infer(interpreter.inputShapes(batch: 2))
    else { return self }
    var graph = self
    var names = FreshNames(self)
    graph.nodes = nodes.flatMap { node -> [Node] in
      guard node.opType == "Split", let shape = infos[node.inputs[0]]?.shape,
        let declared = try? node.int("axis", default: 0),
        case let axis = declared < 0 ? declared + shape.rank : declared, axis > 0
      else { return [node] }
      let lengths = node.outputs.compactMap { infos[$0]?.shape[axis] }
      guard lengths.count == node.outputs.count else { return [node] }
      var start = 0
      return zip(node.outputs, lengths).enumerated().map { part, piece in
        let bounds = ["starts": start, "ends": start + piece.1, "axes": axis]
        start += piece.1
        var slice = Node(
          "Slice", name: names.next("\(node.name).\(part)"), inputs: [node.inputs[0]],
          outputs: [piece.0])
        for key in ["starts", "ends", "axes"] {
          guard opset >= 10 else {
            slice.attributes[key] = .ints([bounds[key]!])
            continue
          }
          let name = names.next("\(piece.0).\(key)")
          graph.initializers[name] = .int64(Tensor([1], [Int64(bounds[key]!)]))
          slice.inputs.append(name)
        }
        return slice
      }
    }
    return graph
  }
}
