// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

/// Constant 8-bit codes that nodes make weights of without a `DequantizeLinear`: cast to fp32, less
/// a constant zero point if there is one, times constant scales or over them.
package struct ScaledCodes {
  /// The `Cast`, the `Sub` if there is one, and the `Mul` or `Div`.
  package let nodes: [Node]

  /// What the last of the nodes makes.
  package var weights: String { nodes[nodes.count - 1].outputs[0] }

  /// The weights in fp32; `nil` where the nodes do not hold together, or give another shape than
  /// the codes'.
  func restored(in graph: Graph) -> Tensor<Float>? {
    var known: [String: AnyTensor] = [:]
    for node in nodes {
      var operands: [AnyTensor?] = node.inputs.map { known[$0] ?? graph.initializers[$0] }
      guard let op = try? OperatorRegistry.make(node, opset: graph.opset),
        (try? op.infer(operands.map { $0.map(TensorInfo.init) }))?.first?.shape
          == graph.initializers[nodes[0].inputs[0]]?.shape,
        let result = try? op.forward(&operands, ExecutionContext()).first
      else { return nil }
      known[node.outputs[0]] = result
    }
    guard case .float32(let values)? = known[weights] else { return nil }
    return values
  }
}

extension Graph {
  /// The weights that nodes make of constant 8-bit codes, in the order of the nodes.
  package var scaledCodes: [ScaledCodes] {
    var open: [String: [Node]] = [:]
    for node in nodes where node.opType == "Cast" && node.attributes["to"] == .int(1) {
      guard let source = node.inputs.first, let codes = initializers[source],
        [.int8, .uint8].contains(codes.dtype), codes.shape.rank >= 2
      else { continue }
      open[node.outputs[0]] = [node]
    }
    guard !open.isEmpty else { return [] }
    let outputs = Set(outputs.map(\.name))
    func isFloat(_ name: String) -> Bool { initializers[name]?.dtype == .float32 }
    var result: [ScaledCodes] = []
    for node in nodes where node.inputs.count == 2 && node.outputs.count == 1 {
      let (first, second) = (node.inputs[0], node.inputs[1])
      let codes = open[first] == nil && node.opType == "Mul" ? second : first
      guard let steps = open[codes], isFloat(codes == first ? second : first),
        consumers(of: codes).count == 1, !outputs.contains(codes)
      else { continue }
      switch node.opType {
      case "Sub" where steps.count == 1: open[node.outputs[0]] = steps + [node]
      case "Mul", "Div":
        guard !outputs.contains(node.outputs[0]) else { continue }
        result.append(ScaledCodes(nodes: steps + [node]))
      default: continue
      }
    }
    return result
  }
}
