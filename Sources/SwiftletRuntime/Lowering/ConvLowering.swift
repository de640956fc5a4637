// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Conv` over two axes with constant weights, fp32 or quantized.
enum ConvLowering: LoweredOperator {
  static let opTypes = ["Conv"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isImages(node.inputs[0]) && facts.isValue(node.outputs[0])
      && ProductWeights(node, facts, transposed: false, columns: facts.shape(node.outputs[0])[1])
        != nil
      && place(node, facts) != nil
  }

  private static func place(_ node: Node, _ facts: GraphFacts) -> SlidingWindow.Placement? {
    let kernel = Array(facts.shape(node.inputs[1]).dimensions[2...])
    return try? SlidingWindow(node, kernel: kernel).place(facts.shape(node.inputs[0]))
  }

  private static func window(_ place: SlidingWindow.Placement) -> Window {
    Window(
      height: place.height.kernel, width: place.width.kernel, strideY: place.height.stride,
      strideX: place.width.stride, dilationY: place.height.dilation,
      dilationX: place.width.dilation, padTop: place.height.before, padLeft: place.width.before)
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout { .planes(4) }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let window = window(place(node, facts)!)
    let weights = ProductWeights(
      node, facts, transposed: false, columns: facts.shape(node.outputs[0])[1])!
    let groups = (try? LinearLayer(node))?.groups ?? 1
    lowering.addProduct(node, weights, window, groups: groups, in: .planes(4))
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    let facts = lowering.facts
    guard name == node.inputs[0], !node.inputs.dropFirst().contains(name),
      facts.layout(name).isPlanes, facts.floats(node, 1) != nil, let place = place(node, facts)
    else { return false }
    let (image, result) = (facts.shape(name), facts.shape(node.outputs[0]))
    let groups = (try? LinearLayer(node))?.groups ?? 1
    let selection = Selection(
      window(place), groups: groups, inputs: image[1], outputs: result[1])
    return selection.isDepthwise
      ? lowering.prefersBFloat(node.outputs[0])
      : selection.prefersBFloat(height: result[2], width: result[3])
  }
}
