// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Transpose`: another name for the same value, in another layout.
enum TransposeLowering: LoweredOperator {
  static let opTypes = ["Transpose"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && facts.isValue(node.outputs[0])
      && facts.isBatched(layout(node, node.outputs[0], facts))
  }

  static func layout(_ node: Node, _ result: String, _ facts: GraphFacts) -> Layout {
    let layout = facts.layout(node.inputs[0])
    let permutation = (try? node.ints("perm")) ?? Array((0..<layout.rank).reversed())
    return layout.transposed(permutation)
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    lowering.rename(node.inputs[0], to: node.outputs[0])
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    lowering.prefersBFloat(node.outputs[0])
  }
}
