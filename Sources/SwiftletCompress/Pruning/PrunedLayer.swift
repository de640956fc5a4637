// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A layer that reads fewer channels than before, with its weights and bias.
struct PrunedLayer {
  let node: Node
  private let weights: Tensor<Float>
  /// Products per output.
  let depth: Int
  let outputs: Int
  /// Whether the weights are stored as depth × outputs.
  private let isTransposed: Bool
  private let bias: Tensor<Float>?
  /// Whether a constant can be added to each output.
  let canShift: Bool

  /// Reads a layer.
  ///
  /// - Returns: `nil` if its weights are not fp32 constants, not finite, shared, or scaled by the
  ///   node.
  init?(_ node: Node, in graph: Graph) throws {
    guard let weights: Tensor<Float> = graph.initializers[node.inputs[1]]?.typed(),
      weights.isFinite, graph.consumers(of: node.inputs[1]).count == 1,
      try node.float("alpha", default: 1) == 1, try node.float("beta", default: 1) == 1
    else { return nil }
    self.node = node
    self.weights = weights.contiguous()
    isTransposed =
      try node.opType == "MatMul"
      || (node.opType == "Gemm" && node.int("transB", default: 0) == 0)
    outputs = weights.shape[isTransposed ? 1 : 0]
    depth = weights.count / max(1, outputs)
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else {
      bias = nil
      canShift = node.opType != "MatMul"
      return
    }
    let stored: Tensor<Float>? = graph.initializers[node.inputs[2]]?.typed()
    bias = stored
    canShift = stored?.count == outputs && graph.consumers(of: node.inputs[2]).count == 1
  }

  /// Spatial extents of a convolution's weights.
  var kernel: [Int] { Array(weights.shape.dimensions[2...]) }

  /// Adds a change to the weights and to the bias.
  ///
  /// - Parameters:
  ///   - change: Change of the weights, depth × outputs; `nil`: none.
  ///   - shift: Change of the bias, one element per output.
  ///   - index: Position of the node.
  ///   - graph: The graph to modify.
  func add(_ change: Tensor<Double>?, shift: [Double], at index: Int, in graph: inout Graph) {
    if let change {
      var elements = weights.elements
      let source = change.span
      for output in 0..<outputs {
        for product in 0..<depth {
          let place = isTransposed ? product * outputs + output : output * depth + product
          elements[place] = Float(Double(elements[place]) + source[product * outputs + output])
        }
      }
      graph.initializers[node.inputs[1]] = .float32(Tensor(weights.shape, elements))
    }
    guard canShift, shift.contains(where: { $0 != 0 }) else { return }
    if let bias {
      graph.initializers[node.inputs[2]] = .float32(
        Tensor(bias.shape, zip(bias.elements, shift).map { Float(Double($0) + $1) }))
    } else {
      let name = graph.freshName("\(node.reportName).bias")
      graph.initializers[name] = .float32(Tensor([outputs], shift.map { Float($0) }))
      graph.nodes[index].inputs = [node.inputs[0], node.inputs[1], name]
    }
  }
}
