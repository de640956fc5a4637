// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// Normalized sums (`SkipLayerNormalization`), also without subtracting the mean, and those of
  /// embeddings.
  mutating func expandNormalization(_ node: Node) throws -> Bool {
    let epsilon = try node.float("epsilon", default: 1e-12)
    switch node.opType {
    case "SkipLayerNormalization", "SkipSimplifiedLayerNormalization":
      let isCentred = node.opType == "SkipLayerNormalization"
      // Without centring there is no mean to give.
      guard isCentred || output(node, 1) == nil else { return false }
      let bias = input(node, isCentred ? 4 : 3)
      let total = output(node, 3)
      let inputs = [input(node, 0), input(node, 1)]
      let sum = emit("Add", inputs, to: bias.isEmpty ? total : nil)
      let x = bias.isEmpty ? sum : emit("Add", [sum, bias], to: total)
      if isCentred {
        normalize(
          x, input(node, 2), input(node, 3), epsilon, to: node.outputs[0], mean: output(node, 1),
          factor: output(node, 2))
      } else {
        normalizeByRoot(
          x, input(node, 2), epsilon, axes: [-1], to: node.outputs[0], factor: output(node, 2))
      }
    case "SimplifiedLayerNormalization":
      let first = try node.int("axis", default: -1)
      guard let end = first < 0 ? 0 : rank(input(node, 0)), first < end, end - first <= 64 else {
        return false
      }
      normalizeByRoot(
        input(node, 0), input(node, 1), try node.float("epsilon", default: 1e-5),
        axes: Array(first..<end), to: node.outputs[0], factor: output(node, 1))
    case "EmbedLayerNormalization": return embed(node, epsilon)
    default: return false
    }
    return true
  }

  /// `LayerNormalization` over the last axis, spelled out before operator set 17.
  ///
  /// - Parameters:
  ///   - mean: The name of the means, if they are asked for.
  ///   - factor: And of 1 / √(variance + epsilon).
  private mutating func normalize(
    _ x: String, _ scale: String, _ shift: String, _ epsilon: Float, to output: String,
    mean: String? = nil, factor: String? = nil
  ) {
    if result.opset >= 17 {
      var outputs = [output, mean ?? "", factor ?? ""]
      while outputs.last == "" { outputs.removeLast() }
      emit(
        "LayerNormalization", [x, scale, shift], ["axis": .int(-1), "epsilon": .float(epsilon)],
        outputs: outputs)
      return
    }
    let centred = emit("Sub", [x, self.mean(x, axes: [-1], to: mean)])
    let variance = self.mean(emit("Mul", [centred, centred]), axes: [-1])
    let deviation = emit("Sqrt", [emit("Add", [variance, number(epsilon)])])
    if let factor { emit("Reciprocal", [deviation], to: factor) }
    let quotient = emit("Div", [centred, deviation])
    let scaled = emit("Mul", [quotient, scale], to: shift.isEmpty ? output : nil)
    if !shift.isEmpty { emit("Add", [scaled, shift], to: output) }
  }

  /// x / √(mean(x²) + epsilon) · scale.
  ///
  /// - Parameter factor: The name of 1 / √(mean(x²) + epsilon), if it is asked for.
  private mutating func normalizeByRoot(
    _ x: String, _ scale: String, _ epsilon: Float, axes: [Int], to output: String,
    factor: String? = nil
  ) {
    let square = mean(emit("Mul", [x, x]), axes: axes)
    let root = emit("Sqrt", [emit("Add", [square, number(epsilon)])])
    if let factor { emit("Reciprocal", [root], to: factor) }
    emit("Mul", [emit("Div", [x, root]), scale], to: output)
  }

  /// The normalized sum of word, position and segment embeddings.
  private mutating func embed(_ node: Node, _ epsilon: Float) -> Bool {
    guard result.opset >= 11, has(node, 0), has(node, 2), has(node, 3) else { return false }
    let (ids, segments) = (input(node, 0), input(node, 1))
    let word = emit("Gather", [input(node, 2), ids])
    let position: String
    if has(node, 8) {
      position = emit("Gather", [input(node, 3), input(node, 8)])
    } else {
      // The first rows, one per word.
      let length = emit("Gather", [emit("Shape", [ids]), list([1])])
      position = emit("Slice", [input(node, 3), list([0]), length, list([0])])
    }
    let total = output(node, 2)
    let hasSegments = !segments.isEmpty && has(node, 4)
    var sum = emit("Add", [word, position], to: hasSegments ? nil : total)
    if hasSegments {
      sum = emit("Add", [sum, emit("Gather", [input(node, 4), segments])], to: total)
    }
    normalize(sum, input(node, 5), input(node, 6), epsilon, to: node.outputs[0])
    if let lengths = output(node, 1) {
      // The number of words in each text; all zeros do not determine it.
      let counted = emit("Cast", [has(node, 7) ? input(node, 7) : ids], ["to": .int(7)])
      let masked = has(node, 7) ? counted : emit("Mul", [counted, integer(0)])
      emit("Cast", [self.sum(masked, axis: 1, to: nil)], ["to": .int(6)], to: lengths)
    }
    return true
  }
}
