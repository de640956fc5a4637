// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `Cast` of fp32 to bf16, which rounds, and back, which changes nothing.
///
/// A pair of them before a layer means that the layer reads bf16. Its products use the bf16 kernels
/// if its weights are bf16 numbers too: both factors are those of the model, and sums are fp32.
enum CastLowering: LoweredOperator {
  static let opTypes = ["Cast"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && facts.isValue(node.outputs[0])
      && [1, 16].contains(try? node.int("to", default: 0))
  }

  private static func rounds(_ node: Node) -> Bool { (try? node.int("to", default: 0)) == 16 }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    if rounds(node) {
      let value = lowering.bfloat(node.inputs[0])
      lowering.bind(node.outputs[0], .bfloat(value))
    } else {
      lowering.rename(node.inputs[0], to: node.outputs[0])
    }
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    rounds(node) || lowering.prefersBFloat(node.outputs[0])
  }
}
