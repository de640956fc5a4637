// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Softmax` and `LayerNormalization` over one axis, which becomes that of the channels.
enum RowLowering: LoweredOperator {
  static let opTypes = ["Softmax", "LayerNormalization"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isValue(node.inputs[0]), let axis = axis(node, facts),
      facts.isBatched(layout(node, node.outputs[0], facts))
    else { return false }
    let rank = facts.shape(node.inputs[0]).rank
    if node.opType == "Softmax" {
      // Before operator set 13 all axes from the given one on were treated as one.
      return facts.graph.opset >= 13 || axis == rank - 1
    }
    return axis == rank - 1 && operation(node, facts) != nil
  }

  private static func axis(_ node: Node, _ facts: GraphFacts) -> Int? {
    let isOld = node.opType == "Softmax" && facts.graph.opset < 13
    let rank = facts.shape(node.inputs[0]).rank
    return (try? node.int("axis", default: isOld ? 1 : -1)).map { ($0 + rank) % rank }
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let layout = facts.layout(node.inputs[0])
    let axis = axis(node, facts)!
    return layout.channelAxis == axis
      ? layout : Layout(order: (0..<layout.rank).filter { $0 != axis } + [axis])
  }

  private static func operation(_ node: Node, _ facts: GraphFacts) -> RowInstruction.Operation? {
    if node.opType == "Softmax" { return .softmax }
    let shape = facts.shape(node.inputs[0])
    guard let gamma = facts.floats(node, 1), gamma.count == shape[shape.rank - 1],
      let epsilon = try? node.float("epsilon", default: 1e-5),
      (try? node.int("stash_type", default: 1)) == 1
    else { return nil }
    guard facts.has(node, 2) else {
      return .normalize(gamma: AlignedMemory(gamma.elements), beta: nil, epsilon: epsilon)
    }
    guard let beta = facts.floats(node, 2), beta.count == gamma.count else { return nil }
    return .normalize(
      gamma: AlignedMemory(gamma.elements), beta: AlignedMemory(beta.elements), epsilon: epsilon)
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let input = lowering.float(node.inputs[0], lowering.facts.layout(node.outputs[0]))
    let output = lowering.add(Value(like: lowering.values[input], .float))
    lowering.bind(node.outputs[0], .float(output))
    lowering.add(
      RowInstruction(
        label: node.label, input: input, output: output,
        operation: operation(node, lowering.facts)!))
  }
}
