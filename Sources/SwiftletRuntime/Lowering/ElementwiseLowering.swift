import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// `Relu` and `Clip` that no layer before them has taken in.
enum ClampLowering: LoweredOperator {
  static let opTypes = ["Relu", "Clip"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    facts.isImages(node.inputs[0]) && facts.clamp(node) != nil
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let input = lowering.float(node.inputs[0])
    var (low, high) = lowering.facts.clamp(node)!
    let last = lowering.takeClamps(after: node.outputs[0], low: &low, high: &high)
    let output = lowering.add(Value(like: lowering.values[input], .float))
    lowering.bind(last, .float(output))
    lowering.add(
      ElementwiseLayer(
        label: node.label, inputs: [input], output: output,
        operation: .clamp(low: low, high: high)))
  }
}

/// `Add` of two values of the same shape, and the clamps and quantization behind it.
enum AddLowering: LoweredOperator {
  static let opTypes = ["Add"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    node.inputs.count == 2 && node.inputs.allSatisfy { facts.isImages($0) }
      && facts.shape(node.inputs[0]) == facts.shape(node.inputs[1])
  }

  static func data(_ node: Node) -> [String] { node.inputs }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    var (low, high) = (-Float.infinity, Float.infinity)
    let (first, second) = (
      lowering.dequantized(node.inputs[0]), lowering.dequantized(node.inputs[1])
    )
    let last = lowering.takeClamps(after: node.outputs[0], low: &low, high: &high)
    if let first, let second, let (name, by) = lowering.takeQuantization(after: last) {
      let output = lowering.add(Value(like: lowering.values[first.value], by.kind))
      lowering.bind(name, .quantized(output, by))
      var sum = AddU8(
        scaleA: first.by.scale / by.scale, scaleB: second.by.scale / by.scale,
        zeroA: Int32(first.by.zeroPoint), zeroB: Int32(second.by.zeroPoint),
        zeroY: Int32(by.zeroPoint))
      (sum.low, sum.high) = by.limits(low, high)
      return lowering.add(
        ElementwiseLayer(
          label: node.label, inputs: [first.value, second.value], output: output,
          operation: .addBytes(sum)))
    }
    let inputs = node.inputs.map { lowering.float($0) }
    let output = lowering.add(Value(like: lowering.values[inputs[0]], .float))
    lowering.bind(last, .float(output))
    lowering.add(
      ElementwiseLayer(
        label: node.label, inputs: inputs, output: output, operation: .add(low: low, high: high)))
  }
}

/// `Flatten`, and `Reshape` that does the same: another name for the value.
///
/// Elements of an image lie in another order than those of the flattened one, so that only what
/// knows this may read it: a fully connected layer.
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
    (facts.consumers[name] ?? []).allSatisfy { index in
      let node = facts.graph.nodes[index]
      switch node.opType {
      case "QuantizeLinear", "DequantizeLinear":
        return isReadFlattened(node.outputs[0], facts)
      case "Gemm", "MatMul":
        return node.inputs[0] == name && GemmLowering.accepts(node, facts)
      default: return false
      }
    }
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    var binding = lowering.binding(node.inputs[0])
    if case .external = binding { binding = .float(lowering.float(node.inputs[0])) }
    lowering.bind(node.outputs[0], binding)
  }
}
