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
    facts.isImages(node.inputs[0]) && activation(node, facts) != nil
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

/// `Add` and `Mul` of values of the same shape, or of a value and one number per channel, and the
/// clamps and quantization after it.
enum SumLowering: LoweredOperator {
  static let opTypes = ["Add", "Mul"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    // Operator sets up to 6 may align the right side with an axis in the middle.
    node.inputs.count == 2 && node.attributes["axis"] == nil
      && facts.isImages(node.outputs[0]) && operands(node, facts) != nil
  }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] {
    node.inputs.filter { facts.graph.initializers[$0] == nil }
  }

  private enum Operands {
    case same
    /// The value, and the name of one of the shape N×C×1×1.
    case channels(String, String)
    case constant(String, [Float])
  }

  private static func operands(_ node: Node, _ facts: GraphFacts) -> Operands? {
    let result = facts.shape(node.outputs[0])
    let full = node.inputs.filter { facts.isImages($0) && facts.shape($0) == result }
    if full.count == 2 { return .same }
    guard let value = full.first, let index = node.inputs.firstIndex(where: { $0 != value }) else {
      return nil
    }
    let other = node.inputs[index]
    if facts.isImages(other, ranks: 4...4), result.rank == 4,
      facts.shape(other).dimensions == [result[0], result[1], 1, 1]
    {
      return .channels(value, other)
    }
    guard let tensor = facts.floats(node, index) else { return nil }
    let channels = result[result.rank == 4 ? 1 : result.rank - 1]
    if tensor.count == 1 && tensor.shape.rank <= result.rank {
      return .constant(value, [Float](repeating: tensor.elements[0], count: channels))
    }
    // Its only extent other than 1 must be that of the channels.
    let axis = result.rank == 4 ? 3 : 1
    guard tensor.count == channels, tensor.shape.rank >= axis, tensor.shape.rank <= result.rank,
      tensor.shape[tensor.shape.rank - axis] == channels
    else { return nil }
    return .constant(value, tensor.elements)
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    var (low, high) = (-Float.infinity, Float.infinity)
    let isSum = node.opType == "Add"
    let operands = operands(node, lowering.facts)!
    if case .same = operands, isSum, addBytes(node, &lowering) { return }
    let last = lowering.takeClamps(after: node.outputs[0], low: &low, high: &high)
    if case .same = operands, isSum, lowering.facts.precision == .bf16, lowering.prefersBFloat(last)
    {
      return lowering.addBFloats(node, last, low: low, high: high)
    }
    func output(like input: Int, _ lowering: inout Lowering) -> Int {
      let output = lowering.add(Value(like: lowering.values[input], .float))
      lowering.bind(last, .float(output))
      return output
    }
    let value: String
    let numbers: ChannelsInstruction.Operand
    switch operands {
    case .same:
      let inputs = node.inputs.map { lowering.float($0) }
      let operation: ElementwiseInstruction.Operation =
        isSum ? .add(low: low, high: high) : .multiply(low: low, high: high)
      return lowering.add(
        ElementwiseInstruction(
          label: node.label, inputs: inputs, output: output(like: inputs[0], &lowering),
          operation: operation))
    case .channels(let name, let other):
      (value, numbers) = (name, .value(lowering.float(other)))
    case .constant(let name, let elements):
      (value, numbers) = (name, .constant(AlignedMemory(elements)))
    }
    let input = lowering.float(value)
    lowering.add(
      ChannelsInstruction(
        label: node.label, input: input, operand: numbers,
        output: output(like: input, &lowering), isSum: isSum, low: low, high: high))
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    guard node.opType == "Add", case .same? = operands(node, lowering.facts) else { return false }
    return lowering.prefersBFloat(node.outputs[0])
  }

  /// A sum of 8-bit values whose result is 8-bit too.
  private static func addBytes(_ node: Node, _ lowering: inout Lowering) -> Bool {
    guard let first = lowering.dequantized(node.inputs[0]),
      let second = lowering.dequantized(node.inputs[1])
    else { return false }
    var (low, high) = (-Float.infinity, Float.infinity)
    guard let (clamps, name, by) = lowering.quantizedResult(of: node.outputs[0], &low, &high)
    else { return false }
    for index in clamps { lowering.markDone(index) }
    var sum = AddU8(
      scaleA: first.by.scale / by.scale, scaleB: second.by.scale / by.scale,
      zeroA: Int32(first.by.zeroPoint), zeroB: Int32(second.by.zeroPoint),
      zeroY: Int32(by.zeroPoint))
    (sum.low, sum.high) = by.limits(low, high)
    let output = lowering.add(Value(like: lowering.values[first.value], by.kind))
    lowering.bind(name, .quantized(output, by))
    lowering.add(
      ElementwiseInstruction(
        label: node.label, inputs: [first.value, second.value], output: output,
        operation: .addBytes(sum)))
    return true
  }
}

/// `BatchNormalization` that no preceding instruction absorbed: a factor and an addend per channel.
enum BatchNormalizationLowering: LoweredOperator {
  static let opTypes = ["BatchNormalization"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isImages(node.inputs[0]) && facts.shape(node.inputs[0]).rank != 3
      && ChannelScaling(node, facts.graph) != nil
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let scaling = ChannelScaling(node, lowering.facts.graph)!
    var (low, high) = (-Float.infinity, Float.infinity)
    let input = lowering.float(node.inputs[0])
    let last = lowering.takeClamps(after: node.outputs[0], low: &low, high: &high)
    let scaled = lowering.add(Value(like: lowering.values[input], .float))
    let output = lowering.add(Value(like: lowering.values[input], .float))
    lowering.bind(last, .float(output))
    lowering.add(
      ChannelsInstruction(
        label: node.label, input: input,
        operand: .constant(AlignedMemory(scaling.factors.map(Float.init))), output: scaled,
        isSum: false, low: -.infinity, high: .infinity))
    lowering.add(
      ChannelsInstruction(
        label: node.label, input: scaled,
        operand: .constant(AlignedMemory(scaling.shifts.map(Float.init))), output: output,
        isSum: true, low: low, high: high))
  }
}

/// `Flatten`, and an equivalent `Reshape`: an alias of the value.
///
/// The elements of an image are in a different order than those of the flattened one, so only
/// layers that account for this may read it: fully connected ones. A dynamically quantized one
/// could too, but would force the whole batch into one chunk; see ``Program``.
enum FlattenLowering: LoweredOperator {
  static let opTypes = ["Flatten", "Reshape"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    let (input, output) = (node.inputs[0], node.outputs[0])
    guard facts.isImages(input, ranks: 4...4), facts.isImages(output, ranks: 2...2) else {
      return false
    }
    let shape = facts.shape(input)
    return shape[2] * shape[3] == 1 || isReadFlattened(output, facts)
  }

  private static func isReadFlattened(_ name: String, _ facts: GraphFacts) -> Bool {
    facts.consumers(name).allSatisfy { index in
      let node = facts.graph.nodes[index]
      switch node.opType {
      case "QuantizeLinear", "DequantizeLinear":
        return isReadFlattened(node.outputs[0], facts)
      case "Cast":
        return CastLowering.accepts(node, facts) && isReadFlattened(node.outputs[0], facts)
      case "Gemm", "MatMul":
        return node.inputs[0] == name && GemmLowering.accepts(node, facts)
      default: return false
      }
    }
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    lowering.rename(node.inputs[0], to: node.outputs[0])
  }

  static func takesBFloat(_ node: Node, _ name: String, _ lowering: Lowering) -> Bool {
    lowering.prefersBFloat(node.outputs[0])
  }
}
