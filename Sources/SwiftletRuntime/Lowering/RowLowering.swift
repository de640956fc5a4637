// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Softmax` and `LayerNormalization` over the last axis of vectors and rows.
enum RowLowering: LoweredOperator {
  static let opTypes = ["Softmax", "LayerNormalization"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isImages(node.inputs[0], ranks: 2...3) else { return false }
    let rank = facts.shape(node.inputs[0]).rank
    // Before operator set 13 the default axis of Softmax was 1, and all axes from there on were
    // treated as one.
    let isOld = node.opType == "Softmax" && facts.graph.opset < 13
    guard let axis = try? node.int("axis", default: isOld ? 1 : -1),
      (axis + rank) % rank == rank - 1
    else { return false }
    return node.opType == "Softmax" || operation(node, facts) != nil
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
    let input = lowering.float(node.inputs[0])
    let output = lowering.add(Value(like: lowering.values[input], .float))
    lowering.bind(node.outputs[0], .float(output))
    lowering.add(
      RowInstruction(
        label: node.label, input: input, output: output,
        operation: operation(node, lowering.facts)!))
  }
}

/// `Concat` along the channels.
enum ConcatLowering: LoweredOperator {
  static let opTypes = ["Concat"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    guard facts.isImages(node.outputs[0]), node.inputs.allSatisfy({ facts.isImages($0) }) else {
      return false
    }
    let rank = facts.shape(node.outputs[0]).rank
    guard let axis = try? node.int("axis", default: 1) else { return false }
    return (axis + rank) % rank == (rank == 4 ? 1 : rank - 1)
  }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] { node.inputs }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let views = node.inputs.map { lowering.dequantized($0) }
    let output: Int
    let inputs: [Int]
    if let by = views[0]?.by, views.allSatisfy({ $0?.by == by }) {
      inputs = views.map { $0!.value }
      output = lowering.newValue(for: node.outputs[0], by.kind)
      lowering.bind(node.outputs[0], .dequantized(output, by))
    } else {
      let kind = lowering.floatKind(node.outputs[0])
      inputs = node.inputs.map { kind == .bfloat ? lowering.bfloat($0) : lowering.float($0) }
      output = lowering.newValue(for: node.outputs[0], kind)
      lowering.bind(node.outputs[0], lowering.floatBinding(output))
    }
    lowering.add(ConcatInstruction(label: node.label, inputs: inputs, output: output))
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    lowering.prefersBFloat(node.outputs[0])
  }
}
