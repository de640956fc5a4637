// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// Functions of one number: `Relu` and `Clip` that no preceding instruction absorbed, and
/// activation curves.
///
/// Between 8-bit values they are a lookup table.
enum ActivationLowering: LoweredOperator {
  static let opTypes = [
    "Relu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Gelu", "Erf", "Exp",
    "LeakyRelu", "Elu", "Softplus", "Mish", "Swish",
  ]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isValue(node.inputs[0]) && activation(node, facts) != nil
  }

  private static func activation(_ node: Node, _ facts: GraphFacts) -> ElementFunction? {
    if let (low, high) = facts.clamp(node) { return .clip(low: low, high: high) }
    func number(_ name: String, _ fallback: Float) -> Float? {
      try? node.float(name, default: fallback)
    }
    switch node.opType {
    case "Sigmoid": return .sigmoid
    case "Tanh": return .tanh
    case "HardSwish": return .hardSwish
    case "Erf": return .erf
    case "Exp": return .exp
    case "Softplus": return .softplus
    case "Mish": return .mish
    case "Swish": return number("alpha", 1) == 1 ? .silu : nil
    case "Gelu":
      let approximate = try? node.string("approximate", default: "none")
      return approximate.map { $0 == "tanh" ? .geluTanh : .gelu }
    case "LeakyRelu": return number("alpha", 0.01).map { .leakyRelu(alpha: $0) }
    case "Elu": return number("alpha", 1).map { .elu(alpha: $0) }
    case "HardSigmoid":
      guard let alpha = number("alpha", 0.2), let beta = number("beta", 0.5) else { return nil }
      return .hardSigmoid(alpha: alpha, beta: beta)
    default: return nil
    }
  }

  /// Clamps become part of the preceding instruction.
  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    lowering.facts.clamp(node) != nil && lowering.facts.consumers(name).count == 1
      && lowering.prefersBFloat(node.outputs[0])
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let activation = activation(node, lowering.facts)!
    if let (input, from) = lowering.dequantized(node.inputs[0]),
      let (name, to) = lowering.takeQuantization(after: node.outputs[0])
    {
      let output = lowering.add(Value(like: lowering.values[input], to.kind))
      lowering.bind(name, .quantized(output, to))
      return lowering.add(
        ElementwiseInstruction(
          label: node.label, inputs: [input], output: output,
          operation: .lookUp(from.table(to, activation))))
    }
    let input = lowering.float(node.inputs[0])
    let output: Int
    let operation: ElementwiseInstruction.Operation
    if let (name, to) = lowering.takeQuantization(after: node.outputs[0]) {
      output = lowering.add(Value(like: lowering.values[input], to.kind))
      lowering.bind(name, .quantized(output, to))
      operation = .activateBytes(activation, to)
    } else {
      output = lowering.add(Value(like: lowering.values[input], .float))
      lowering.bind(node.outputs[0], .float(output))
      operation = .activate(activation)
    }
    lowering.add(
      ElementwiseInstruction(
        label: node.label, inputs: [input], output: output, operation: operation))
  }
}

extension Lowering.Quantized {
  /// The codes of the function's results for each input code.
  func table(_ target: Lowering.Quantized, _ activation: ElementFunction) -> AlignedMemory {
    let numbers = AlignedMemory((0..<256).map { Float($0 - Int(zeroPoint)) * scale })
    let codes = AlignedMemory(byteCount: 256)
    let kernel = PointwiseKernel.current
    unsafe kernel.activate(activation, count: 256, numbers.base, to: numbers.base)
    unsafe kernel.planesToPixelsU8(
      .run(256, elementSize: 1), scale: target.scale, zeroPoint: Int32(target.zeroPoint),
      from: numbers.base, to: codes.base, rows: 0..<1)
    return codes
  }
}
