// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Pairs of features that are turned by an angle for each position.
struct Rotation {
  /// The features that are turned, the first of each head.
  let width: Int
  /// Whether the members of a pair are neighbours, rather than half of `width` apart.
  let isInterleaved: Bool
  /// Cosines and sines of the angles, a row of `width / 2` for each position.
  let cosines, sines: String
}

extension StandardExpansion {
  /// `RotaryEmbedding` of ONNX and of onnxruntime, which takes its inputs in another order and a
  /// first position instead of all.
  ///
  /// - Source: ONNX `RotaryEmbedding`; Su et al. 2021, arXiv:2104.09864.
  mutating func expandRotary(_ node: Node) throws -> Bool {
    guard node.opType == "RotaryEmbedding", result.opset >= 13 else { return false }
    let isStandard = node.domain.isEmpty
    let tables = isStandard ? (1, 2) : (2, 3)
    let positions = input(node, isStandard ? 3 : 1)
    guard let rank = rank(input(node, 0)), rank == 3 || rank == 4,
      let columns = constant(node, tables.0)?.shape.dimensions.last,
      try node.float("scale", default: 1) == 1,
      try node.int("is_packed_batching", default: 0) == 0
    else { return false }
    let rotation = Rotation(
      width: 2 * columns, isInterleaved: try node.int("interleaved", default: 0) != 0,
      cosines: input(node, tables.0), sines: input(node, tables.1))
    var x = input(node, 0)
    if rank == 3 {
      let heads = try node.int("num_heads", default: 0)
      x = emit("Reshape", [x, list(heads > 0 ? [0, 0, heads, -1] : [0, 0, -1, rotation.width])])
    }
    let (headAxis, positionAxis) = rank == 3 ? (2, 1) : (1, 2)
    // A row for each position, of which heads and, where all samples have the same, the batch are
    // one.
    var rows = rotation.cosines
    var others = rotation.sines
    if !positions.isEmpty {
      guard let positionRank = self.rank(positions), positionRank == 1 || positionRank == 2 else {
        return false
      }
      let indices =
        positionRank == 2
        ? positions : unsqueeze(consecutive(from: positions, x, axis: positionAxis), [0])
      (rows, others) = (emit("Gather", [rows, indices]), emit("Gather", [others, indices]))
    }
    let angles = (unsqueeze(rows, [headAxis]), unsqueeze(others, [headAxis]))
    let turned = rotate(x, angles, rotation, to: rank == 3 ? nil : node.outputs[0])
    if rank == 3 { emit("Reshape", [turned, list([0, 0, -1])], to: node.outputs[0]) }
    return true
  }

  /// As many numbers from a first one on as a value is long along an axis.
  mutating func consecutive(from first: String, _ x: String, axis: Int) -> String {
    let length = emit("Gather", [emit("Shape", [x]), integer(axis)])
    return emit("Add", [emit("Range", [integer(0), length, integer(1)]), first])
  }

  /// The value with pairs (a, b) of its last axis turned into (a·cos − b·sin, b·cos + a·sin).
  ///
  /// - Parameter angles: Cosines and sines that spread over the value, but for its last axis.
  mutating func rotate(
    _ x: String, _ angles: (cosines: String, sines: String), _ rotation: Rotation,
    to output: String? = nil
  ) -> String {
    let (width, half, end) = (rotation.width, rotation.width / 2, list([Int(Int32.max)]))
    let steps = list([rotation.isInterleaved ? 2 : 1])
    let bounds = rotation.isInterleaved ? [(0, width), (1, width)] : [(0, half), (half, width)]
    let pair = bounds.map { start, stop in
      emit("Slice", [x, list([start]), list([stop]), list([-1]), steps])
    }
    func product(_ part: Int, _ factor: String) -> String { emit("Mul", [pair[part], factor]) }
    let turned = [
      emit("Sub", [product(0, angles.cosines), product(1, angles.sines)]),
      emit("Add", [product(1, angles.cosines), product(0, angles.sines)]),
    ]
    let rest = emit("Slice", [x, list([width]), end, list([-1])])
    guard rotation.isInterleaved else {
      return emit("Concat", turned + [rest], ["axis": .int(-1)], to: output)
    }
    let stacked = emit("Concat", turned.map { unsqueeze($0, [-1]) }, ["axis": .int(-1)])
    let joined = emit("Reshape", [stacked, list([0, 0, 0, width])])
    return emit("Concat", [joined, rest], ["axis": .int(-1)], to: output)
  }
}
