// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A layer that reads fewer channels than before, with its weights and bias.
struct PrunedLayer {
  private let linear: LinearLayer
  private let weights: Tensor<Float>
  /// Where the stored weights have which channels.
  let layout: LinearLayer.Layout
  private let bias: Tensor<Float>?
  /// Whether a constant can be added to each output.
  let canShift: Bool

  /// Reads a layer.
  ///
  /// - Returns: `nil` if its weights are not fp32 constants, not finite, shared, or scaled by the
  ///   node.
  init?(_ node: Node, in graph: Graph) throws {
    guard let linear = try LinearLayer(node), linear.isPlain,
      let weights: Tensor<Float> = graph.initializers[linear.weights]?.typed(),
      weights.isFinite, graph.consumers(of: linear.weights).count == 1,
      let layout = linear.layout(weights.shape)
    else { return nil }
    (self.linear, self.layout) = (linear, layout)
    self.weights = weights.contiguous()
    guard let name = linear.bias else {
      bias = nil
      canShift = linear.kind != .matMul
      return
    }
    let stored: Tensor<Float>? = graph.initializers[name]?.typed()
    bias = stored
    canShift = stored?.count == layout.outputs && graph.consumers(of: name).count == 1
  }

  /// Products per output.
  var depth: Int { layout.depth }
  var outputs: Int { layout.outputs }

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
          let place = layout.position(output, product)
          elements[place] = Float(Double(elements[place]) + source[product * outputs + output])
        }
      }
      graph.initializers[linear.weights] = .float32(Tensor(weights.shape, elements))
    }
    guard canShift, shift.contains(where: { $0 != 0 }) else { return }
    if let bias, let name = linear.bias {
      graph.initializers[name] = .float32(
        Tensor(bias.shape, zip(bias.elements, shift).map { Float(Double($0) + $1) }))
    } else {
      let name = graph.freshName("\(linear.node.reportName).bias")
      graph.initializers[name] = .float32(Tensor([outputs], shift.map { Float($0) }))
      graph.nodes[index].inputs = [linear.data, linear.weights, name]
    }
  }
}
