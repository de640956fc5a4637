// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// Operators on quantized values that ONNX has, or that its operators can express.
  mutating func expandQuantized(_ node: Node) throws -> Bool {
    let output = node.outputs[0]
    switch node.opType {
    case "QuantizeLinear", "DequantizeLinear":
      emit(node.opType, node.inputs, node.attributes, outputs: node.outputs)
    case "MatMulIntegerToFloat":
      let product = emit(
        "MatMulInteger", [input(node, 0), input(node, 1), input(node, 4), input(node, 5)])
      let factor = emit("Mul", [input(node, 2), input(node, 3)])
      let values = emit("Cast", [product], ["to": .int(1)])
      let scaled = emit("Mul", [values, factor], to: has(node, 6) ? nil : output)
      if has(node, 6) { emit("Add", [scaled, input(node, 6)], to: output) }
    case "QAttention":
      // Input, weights, bias, their scales, mask, their zero points, past.
      let x = emit("DequantizeLinear", [input(node, 0), input(node, 3), input(node, 6)])
      guard let weights = constantFloats(node, 1, scale: 4, zero: 7) else { return false }
      var attention = node
      attention.opType = "Attention"
      attention.inputs = [
        x, constant(.float32(weights), "\(node.inputs[1]).restored"), input(node, 2),
        input(node, 5), input(node, 8),
      ]
      return try expandAttention(attention)
    case "QLinearSoftmax":
      let x = emit("DequantizeLinear", (0..<3).map { input(node, $0) })
      guard let y = try softmax(node, x) else { return false }
      emit("QuantizeLinear", [y, input(node, 3), input(node, 4)], to: output)
    case "QLinearAveragePool", "QLinearGlobalAveragePool":
      // With the channels first, sessions have integer kernels for them.
      guard try node.int("channels_last", default: 0) != 0,
        let rank = try node.ints("kernel_shape").map({ $0.count + 2 }) ?? rank(input(node, 0)),
        rank >= 3
      else { return false }
      let x = emit("DequantizeLinear", (0..<3).map { input(node, $0) })
      let first = emit("Transpose", [x], ["perm": .ints([0, rank - 1] + Array(1..<rank - 1))])
      var attributes = node.attributes
      attributes["channels_last"] = nil
      let pooled = emit(String(node.opType.dropFirst("QLinear".count)), [first], attributes)
      let y = emit("Transpose", [pooled], ["perm": .ints([0] + Array(2..<rank) + [1])])
      emit("QuantizeLinear", [y, input(node, 3), input(node, 4)], to: output)
    case "QLinearWhere":
      let sides = [1, 4].map { first in
        emit("DequantizeLinear", (first..<first + 3).map { input(node, $0) })
      }
      let y = emit("Where", [input(node, 0)] + sides)
      emit("QuantizeLinear", [y, input(node, 7), input(node, 8)], to: output)
    default: return false
    }
    return true
  }

  /// The softmax along one axis, or before operator set 13, of all axes from one on together.
  private mutating func softmax(_ node: Node, _ x: String) throws -> String? {
    let axis = try node.int("axis", default: -1)
    let isAlongOne = try node.int("opset", default: 13) >= 13
    if axis == -1 || isAlongOne == (result.opset >= 13) {
      return emit("Softmax", [x], ["axis": .int(axis)])
    }
    if !isAlongOne {
      let rows = emit("Softmax", [emit("Flatten", [x], ["axis": .int(axis)])], ["axis": .int(-1)])
      return emit("Reshape", [rows, emit("Shape", [x])])
    }
    guard let rank = rank(x), -rank..<rank ~= axis else { return nil }
    var order = Array(0..<rank)
    order.swapAt(axis < 0 ? axis + rank : axis, rank - 1)
    let turned = emit("Transpose", [x], ["perm": .ints(order)])
    let rows = emit("Softmax", [turned], ["axis": .int(rank - 1)])
    return emit("Transpose", [rows], ["perm": .ints(order)])
  }

  /// Constant weights K×N, dequantized by the constants that restore them.
  private func constantFloats(_ node: Node, _ index: Int, scale: Int, zero: Int) -> Tensor<Float>? {
    guard let codes = constant(node, index), let scales = constant(node, scale) else { return nil }
    var operands: [AnyTensor?] = [codes, scales, constant(node, zero)]
    guard !has(node, zero) || operands[2] != nil else { return nil }
    let dequantize = Node(
      "DequantizeLinear", name: "", inputs: ["q", "s", "z"], outputs: ["x"],
      attributes: ["axis": .int(1)])
    guard let op = try? OperatorRegistry.make(dequantize, opset: 21),
      (try? op.infer(operands.map { $0.map(TensorInfo.init) })) != nil,
      let values = try? op.forward(&operands, ExecutionContext())
    else { return nil }
    return values[0].typed()
  }
}
