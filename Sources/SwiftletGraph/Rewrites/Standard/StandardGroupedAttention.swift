// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// `GroupQueryAttention` of onnxruntime: causal attention in which several heads of queries share
  /// one of keys and values, which are turned by their positions and kept for the next call.
  ///
  /// All samples are taken to be as long as each other: padding at the end is seen by none but
  /// padding.
  mutating func expandGroupedAttention(_ node: Node) throws -> Bool {
    guard node.opType == "GroupQueryAttention", result.opset >= 13 else { return false }
    let (heads, keyHeads) = (
      try node.int("num_heads", default: 0), try node.int("kv_num_heads", default: 0)
    )
    let limit = 1...1 << 16
    guard limit ~= heads, limit ~= keyHeads, heads % keyHeads == 0, has(node, 3) == has(node, 4),
      // Explicit positions, biases, sinks and quantized keys.
      node.inputs.dropFirst(9).allSatisfy(\.isEmpty),
      try node.int("smooth_softmax", default: 0) <= 0, node.outputs.count <= 3
    else { return false }
    var rotation: Rotation?
    if try node.int("do_rotary", default: 0) != 0 {
      guard let columns = constant(node, 7)?.shape.dimensions.last, has(node, 8) else {
        return false
      }
      rotation = Rotation(
        width: 2 * columns, isInterleaved: try node.int("rotary_interleaved", default: 0) != 0,
        cosines: input(node, 7), sines: input(node, 8))
    }
    var rows = (0..<3).map { input(node, $0) }
    if rows[1].isEmpty {
      // Side by side: as heads N×S×(queries + keys + values)×C.
      let all = emit("Reshape", [rows[0], list([0, 0, heads + 2 * keyHeads, -1])])
      let parts = ["queries", "keys", "values"].map { fresh($0) }
      split(all, axis: 2, [heads, keyHeads, keyHeads], to: parts)
      rows = parts.map { emit("Reshape", [$0, list([0, 0, -1])]) }
    }
    let (scale, softcap) = (
      try node.float("scale", default: 0), try node.float("softcap", default: 0)
    )
    let window = try node.int("local_window_size", default: -1)
    return attend(
      Attention(
        q: rows[0], k: rows[1], v: rows[2], heads: heads, keyHeads: keyHeads,
        scale: scale == 0 ? nil : scale, isCausal: true, window: window > 0 ? window : nil,
        softcap: softcap > 0 ? softcap : nil, rotation: rotation,
        past: has(node, 3) ? (input(node, 3), input(node, 4)) : nil,
        present: (output(node, 1) ?? fresh("keys"), output(node, 2) ?? fresh("values"))),
      to: node.outputs[0])
  }
}
