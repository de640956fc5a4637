// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// `QuantizeLinear` of a whole tensor to 8 bits.
enum QuantizeLowering: LoweredOperator {
  static let opTypes = ["QuantizeLinear"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && facts.isValue(node.outputs[0], [.uint8, .int8])
      && facts.quantization(node) != nil
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let (name, by) = (node.inputs[0], lowering.facts.quantization(node)!)
    if let (value, own) = lowering.dequantized(name), own == by {
      return lowering.bind(node.outputs[0], .quantized(value, by))
    }
    let output: Int
    let layout = lowering.facts.layout(name)
    if case .external(let place, _) = lowering.binding(name), lowering.facts.isOuter(layout, name),
      lowering.facts.consumers(name).count == 1
    {
      output = lowering.newValue(for: name, by.kind)
      lowering.add(
        LoadInstruction(input: place, output: output, isRows: layout.isRows, quantized: by))
    } else {
      let input = lowering.float(name)
      output = lowering.add(Value(like: lowering.values[input], by.kind))
      lowering.add(
        ElementwiseInstruction(
          label: node.label, inputs: [input], output: output, operation: .quantize(by)))
    }
    lowering.bind(node.outputs[0], .quantized(output, by))
  }
}

/// `DequantizeLinear` of a whole tensor of 8 bits: computed only if fp32 is needed.
enum DequantizeLowering: LoweredOperator {
  static let opTypes = ["DequantizeLinear"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    // An input that the segment does not compute would have to be converted to bytes.
    guard facts.isValue(node.inputs[0], [.uint8, .int8]),
      let own = facts.codes(node.inputs[0]), let by = facts.quantization(node)
    else { return false }
    // The padding around the image represents zero for all of its readers.
    return own.zeroPoint == by.zeroPoint
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let by = lowering.facts.quantization(node)!
    let (value, own) = lowering.quantized(node.inputs[0])!
    lowering.bind(node.outputs[0], .dequantized(value, by))
    precondition(own.isSigned == by.isSigned, "DequantizeLinear of another type")
  }
}
