// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `LookUpTable` of codes that the segment computes.
enum LookUpLowering: LoweredOperator {
  static let opTypes = [LookUpTable.opType]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0], [.uint8, .int8])
      && facts.isValue(node.outputs[0], [.uint8, .int8])
      && facts.codes(node.inputs[0]) != nil && facts.quantization(node) != nil
      && facts.constant(node, 3)?.shape == [256]
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let (input, _) = lowering.quantized(node.inputs[0])!
    let by = facts.quantization(node)!
    let shift = by.isSigned ? 128 : 0
    let table = facts.constant(node, 3)!.integers.map { UInt8($0 + shift) }
    let output = lowering.add(Value(like: lowering.values[input], by.kind))
    lowering.bind(node.outputs[0], .quantized(output, by))
    lowering.add(
      ElementwiseInstruction(
        label: node.label, inputs: [input], output: output,
        operation: .lookUp(AlignedMemory(table))))
  }
}

extension GraphFacts {
  /// What the codes of an 8-bit value mean, if a segment computes them.
  func codes(_ name: String) -> Lowering.Quantized? {
    guard let source = producer(name), isComputed(name),
      ["QuantizeLinear", LookUpTable.opType].contains(source.opType)
    else { return nil }
    return quantization(source)
  }
}
