// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// Operators of onnxruntime that ONNX has too, under the same name or with another layout.
  mutating func expandMoved(_ node: Node) throws -> Bool {
    let output = node.outputs[0]
    switch node.opType {
    case "Trilu" where result.opset >= 14: emit("Trilu", node.inputs, node.attributes, to: output)
    case "GridSample" where result.opset >= 16:
      var attributes = node.attributes
      // Since operator set 20 the modes have other names.
      if result.opset >= 20 {
        let mode = try node.string("mode", default: "bilinear")
        let names = ["bilinear": "linear", "bicubic": "cubic"]
        attributes["mode"] = .string(names[mode] ?? mode)
      }
      emit("GridSample", node.inputs, attributes, to: output)
    case "Pad" where result.opset >= 11: emit("Pad", node.inputs, node.attributes, to: output)
    case "ExpandDims":
      guard let axes = constant(node, 1)?.integers, axes.count == 1 else { return false }
      _ = unsqueeze(input(node, 0), axes, to: output)
    case "GatherND" where result.opset >= 11:
      let places = emit("Cast", [input(node, 1)], ["to": .int(7)])
      emit("GatherND", [input(node, 0), places], to: output)
    case "Unique" where result.opset >= 11:
      // ONNX has where each comes first in the second place.
      let names = [fresh("first"), self.output(node, 1) ?? "", self.output(node, 2) ?? ""]
      let outputs = [output] + (names[1].isEmpty && names[2].isEmpty ? [] : names)
      emit("Unique", [input(node, 0)], ["sorted": .int(0)], outputs: outputs)
    case "NhwcMaxPool" where result.opset >= 12:
      let first = emit("Transpose", [input(node, 0)], ["perm": .ints([0, 3, 1, 2])])
      let pooled = emit("MaxPool", [first], node.attributes)
      emit("Transpose", [pooled], ["perm": .ints([0, 2, 3, 1])], to: output)
    case "ConvTransposeWithDynamicPads":
      var attributes = node.attributes
      if has(node, 2) {
        guard let pads = constant(node, 2)?.integers else { return false }
        attributes["pads"] = .ints(pads)
      }
      let inputs = [input(node, 0), input(node, 1), input(node, 3)]
      emit("ConvTranspose", inputs, attributes, to: output)
    case "CDist":
      let metric = try node.string("metric", default: "sqeuclidean")
      guard ["sqeuclidean", "euclidean"].contains(metric) else { return false }
      let difference = emit(
        "Sub", [unsqueeze(input(node, 0), [1]), unsqueeze(input(node, 1), [0])])
      let square = emit("Mul", [difference, difference])
      let isEuclidean = metric == "euclidean"
      let distance = sum(square, axis: -1, to: isEuclidean ? nil : output)
      if isEuclidean { emit("Sqrt", [distance], to: output) }
    default: return false
    }
    return true
  }
}
