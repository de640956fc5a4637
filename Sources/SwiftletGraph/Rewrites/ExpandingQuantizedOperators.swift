// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with operators on 8-bit tensors replaced by operators on fp32 between
  /// `DequantizeLinear` and `QuantizeLinear`, the form that becomes integer layers.
  ///
  /// Supported are `QLinearConv` and `QLinearMatMul` with constant weights, operators that move
  /// 8-bit values between them (`MaxPool`, `Flatten`, `Reshape`), and onnxruntime's `QLinearAdd`,
  /// `QLinearMul`, `QLinearAveragePool`, `QLinearGlobalAveragePool`, `QLinearConcat`,
  /// `QLinearSigmoid`, `QLinearLeakyRelu` and `QGemm`. Others are unchanged.
  ///
  /// - Source: onnxruntime, "Contrib operators".
  public func expandingQuantizedOperators() -> Graph {
    let isQuantized = nodes.contains {
      $0.opType.hasPrefix("QLinear") || $0.opType == "QGemm"
    }
    guard isQuantized else { return self }
    var expansion = QuantizedOperatorExpansion(self)
    for node in nodes { expansion.add(node) }
    expansion.result.removeUnusedInitializers()
    return expansion.result
  }
}

/// A graph that is being rewritten without operators on 8-bit tensors, node by node.
private struct QuantizedOperatorExpansion {
  fileprivate var result: Graph
  private var names: FreshNames
  /// Scale and zero point of the 8-bit values, by name.
  private var parameters: [String: [String]] = [:]

  init(_ graph: Graph) {
    result = graph
    result.nodes = []
    names = FreshNames(graph)
  }

  mutating func add(_ node: Node) {
    guard let nodes = expanded(node) else {
      if node.opType == "QuantizeLinear" && node.inputs.count == 3 {
        parameters[node.outputs[0]] = Array(node.inputs[1...])
      }
      return result.nodes.append(node)
    }
    result.nodes += nodes
  }

  private static let binary = ["QLinearAdd": "Add", "QLinearMul": "Mul"]
  private static let unary = [
    "QLinearAveragePool": "AveragePool", "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearSigmoid": "Sigmoid", "QLinearLeakyRelu": "LeakyRelu",
  ]

  /// The replacement of a node; `nil` if it is unchanged.
  private mutating func expanded(_ node: Node) -> [Node]? {
    guard node.outputs.count == 1, node.captures.isEmpty else { return nil }
    let inputs = node.inputs
    if node.isStandard {
      switch node.opType {
      case "QLinearConv" where inputs.count >= 8:
        guard result.initializers[inputs[3]]?.shape.rank == 4 else { return nil }
        return layer("Conv", node, bias: inputs.count > 8 ? inputs[8] : "")
      case "QLinearMatMul" where inputs.count == 8:
        guard result.initializers[inputs[3]]?.shape.rank == 2 else { return nil }
        return layer("MatMul", node, bias: "")
      case "MaxPool", "Flatten", "Reshape":
        guard let own = parameters[inputs[0]] else { return nil }
        return operation(
          node.opType, node, [(inputs[0], own)], others: Array(inputs.dropFirst()), result: own)
      default: return nil
      }
    }
    guard node.domain == "com.microsoft" else { return nil }
    if let opType = Self.binary[node.opType], inputs.count == 8 {
      return operation(
        opType, node, [(inputs[0], Array(inputs[1...2])), (inputs[3], Array(inputs[4...5]))],
        result: Array(inputs[6...7]))
    }
    if let opType = Self.unary[node.opType], inputs.count == 5 {
      guard (try? node.int("channels_last", default: 0)) == 0 else { return nil }
      return operation(
        opType, node, [(inputs[0], Array(inputs[1...2]))], result: Array(inputs[3...4]))
    }
    switch node.opType {
    case "QLinearConcat" where inputs.count > 2 && inputs.count % 3 == 2:
      let parts = stride(from: 2, to: inputs.count, by: 3).map {
        (inputs[$0], Array(inputs[$0 + 1...$0 + 2]))
      }
      return operation("Concat", node, parts, result: Array(inputs[0...1]))
    case "QGemm" where 6...9 ~= inputs.count:
      var node = node
      node.inputs += [String](repeating: "", count: 9 - inputs.count)
      // Bias in the seventh place, and none of the result's parameters before it.
      let bias = node.inputs.remove(at: 6)
      return layer("Gemm", node, bias: bias)
    default: return nil
    }
  }

  private mutating func dequantize(
    _ name: String, _ parameters: [String], axis: Int? = nil, _ nodes: inout [Node]
  ) -> String {
    let output = names.next("\(name).restored")
    nodes.append(
      Node(
        "DequantizeLinear", name: names.next("\(output).DequantizeLinear"),
        inputs: [name] + parameters,
        outputs: [output], attributes: axis.map { ["axis": .int($0)] } ?? [:]))
    return output
  }

  /// An operator between 8-bit values.
  private mutating func operation(
    _ opType: String, _ node: Node, _ operands: [(name: String, parameters: [String])],
    others: [String] = [], result target: [String]
  ) -> [Node] {
    var nodes: [Node] = []
    let inputs = operands.map { dequantize($0.name, $0.parameters, &nodes) }
    let output = names.next("\(node.outputs[0]).exact")
    var attributes = node.attributes
    attributes["channels_last"] = nil
    nodes.append(
      Node(
        opType, name: node.name, inputs: inputs + others, outputs: [output],
        attributes: attributes))
    nodes.append(quantize(output, target, to: node.outputs[0]))
    return nodes
  }

  private mutating func quantize(_ name: String, _ target: [String], to output: String) -> Node {
    parameters[output] = target
    return Node(
      "QuantizeLinear", name: names.next("\(output).QuantizeLinear"), inputs: [name] + target,
      outputs: [output])
  }

  /// A layer whose inputs are x, scale, zero point, weights, scale, zero point, and the result's
  /// scale and zero point; the bias is in units of both scales and of the layer's factor.
  private mutating func layer(_ opType: String, _ node: Node, bias: String) -> [Node]? {
    let inputs = node.inputs
    let plain = Node(
      opType, name: node.name, inputs: [inputs[0], inputs[3]], outputs: node.outputs,
      attributes: node.attributes)
    guard let product = try? LinearLayer(plain), let weights = result.initializers[inputs[3]],
      let inputScale = floats(inputs[1]), let scales = floats(inputs[4]), inputScale.count == 1
    else { return nil }
    let axis = scales.count == 1 ? nil : product.outputAxis(rank: weights.shape.rank)
    var nodes: [Node] = []
    var operands = [dequantize(inputs[0], Array(inputs[1...2]), &nodes)]
    operands.append(dequantize(inputs[3], Array(inputs[4...5]), axis: axis, &nodes))
    if !bias.isEmpty {
      let units = names.next("\(bias).units")
      let values = scales.map { $0 * inputScale[0] * product.alpha }
      result.initializers[units] = .float32(
        Tensor(values.count == 1 ? .scalar : [values.count], values))
      operands.append(restore(bias, units, count: values.count, &nodes))
    }
    let output = node.outputs[0]
    let isQuantized = inputs.count > 7 && !inputs[6].isEmpty
    let exact = isQuantized ? names.next("\(output).exact") : output
    nodes.append(
      Node(
        opType, name: node.name, inputs: operands, outputs: [exact],
        attributes: node.attributes))
    if isQuantized { nodes.append(quantize(exact, Array(inputs[6...7]), to: output)) }
    return nodes
  }

  /// A bias in its units: one for all, or one for each of its columns, over which it may spread.
  private mutating func restore(
    _ bias: String, _ units: String, count: Int, _ nodes: inout [Node]
  ) -> String {
    let isSpread = count > 1 && result.initializers[bias].map { $0.shape != [count] } ?? false
    guard isSpread else { return dequantize(bias, [units], axis: count == 1 ? nil : 0, &nodes) }
    let (numbers, output) = (names.next("\(bias).numbers"), names.next("\(bias).restored"))
    nodes.append(
      Node(
        "Cast", name: names.next("\(numbers).Cast"), inputs: [bias], outputs: [numbers],
        attributes: ["to": .int(1)]))
    nodes.append(
      Node(
        "Mul", name: names.next("\(output).Mul"), inputs: [numbers, units], outputs: [output]))
    return output
  }

  private func floats(_ name: String) -> [Float]? {
    guard case .float32(let tensor)? = result.initializers[name] else { return nil }
    return tensor.elements
  }
}
