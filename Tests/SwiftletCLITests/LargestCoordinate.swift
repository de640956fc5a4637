// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// The classes of points in four dimensions: the axis of their largest coordinate.
func largestCoordinates(_ points: Tensor<Float>) -> [Int64] {
  let elements = points.elements
  return (0..<points.shape[0]).map { row in
    let point = elements[row * 4..<row * 4 + 4]
    return Int64(point.firstIndex(of: point.max()!)! - row * 4)
  }
}

/// A model whose scores name these classes.
func largestCoordinateModel(output: String = "scores") -> Graph {
  var graph = Graph(name: "largest")
  graph.inputs = [ValueInfo("points", .float32, [.symbolic("N"), .fixed(4)])]
  graph.outputs = [ValueInfo(output, .float32, [.symbolic("N"), .fixed(4)])]
  var w = Tensor<Float>(zeros: [4, 4])
  for i in 0..<4 { w[i, i] = 3 }
  graph.initializers = ["w": .float32(w)]
  graph.nodes = [Node("MatMul", name: "layer", inputs: ["points", "w"], outputs: [output])]
  return graph
}
