// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Reshape` and its special cases: the same elements as pixels of another number or size, usually
/// where they are.
///
/// A flattened image that only fully connected layers read stays as it is: its elements are in
/// another order than those of the tensor, and these layers account for that. A dynamically
/// quantized one could too, but would force the whole batch into one chunk; see ``Program``.
enum ReshapeLowering: LoweredOperator {
  static let opTypes = ["Flatten", "Reshape", "Squeeze", "Unsqueeze"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && facts.isValue(node.outputs[0])
      && facts.isBatched(layout(node, node.outputs[0], facts))
  }

  /// The layout before, and that after the elements have got another shape.
  private static func layouts(
    _ node: Node, _ facts: GraphFacts
  ) -> (before: Layout, after: Layout) {
    let (from, to) = (facts.shape(node.inputs[0]), facts.shape(node.outputs[0]))
    let own = facts.layout(node.inputs[0])
    guard !keepsImage(node, facts), let after = own.reshaped(from, to), facts.isBatched(after)
    else { return (.rows(from.rank), .rows(to.rank)) }
    return (own, after)
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    layouts(node, facts).after
  }

  /// Whether an image is flattened for fully connected layers alone.
  private static func keepsImage(_ node: Node, _ facts: GraphFacts) -> Bool {
    let (input, output) = (node.inputs[0], node.outputs[0])
    let shape = facts.shape(input)
    return facts.isImages(input) && facts.layout(input).isPlanes && shape[2] * shape[3] > 1
      && facts.shape(output).rank == 2 && facts.shape(output)[0] == facts.images
      && isReadFlattened(output, facts)
  }

  private static func isReadFlattened(_ name: String, _ facts: GraphFacts) -> Bool {
    guard !facts.isOutput(name) else { return false }
    return facts.consumers(name).allSatisfy { index in
      let node = facts.graph.nodes[index]
      switch node.opType {
      case "QuantizeLinear", "DequantizeLinear":
        return isReadFlattened(node.outputs[0], facts)
      case "Cast":
        return CastLowering.accepts(node, facts) && isReadFlattened(node.outputs[0], facts)
      case "Gemm", "MatMul":
        return node.inputs[0] == name && MatMulLowering.hasConstantMatrix(node, facts)
      default: return false
      }
    }
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let (input, output) = (node.inputs[0], node.outputs[0])
    if keepsImage(node, facts) { return lowering.rename(input, to: output) }
    let (before, after) = layouts(node, facts)
    let from = Value(shape: facts.shape(input), before, images: facts.images, .float)
    let to = Value(shape: facts.shape(output), after, images: facts.images, .float)
    if before == facts.layout(input),
      (from.height, from.width, from.channels)
        == (to.height, to.width, to.channels)
    {
      return lowering.rename(input, to: output)
    }
    let moved = lowering.moved(input, before, keepsChannels: from.channels == to.channels) {
      lowering, source in
      let target = lowering.newValue(for: output, lowering.values[source].kind)
      lowering.add(ReshapeInstruction(label: node.label, input: source, output: target))
      return target
    }
    lowering.bind(output, moved)
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    let facts = lowering.facts
    let (before, after) = layouts(node, facts)
    let isKept =
      before == facts.layout(name)
      && facts.shape(name)[before.channelAxis]
        == facts.shape(node.outputs[0])[after.channelAxis]
    return (isKept || keepsImage(node, facts)) && lowering.prefersBFloat(node.outputs[0])
  }
}
