// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// `GatherBlockQuantized` of onnxruntime: rows of a constant table of 4 or 8 bits in blocks with
  /// a scale each, gathered and then restored. The codes become whole bytes, which ONNX can gather.
  mutating func expandBlockGather(_ node: Node) throws -> Bool {
    guard node.opType == "GatherBlockQuantized", result.opset >= 21, has(node, 2),
      let table = constant(node, 0)
    else { return false }
    let (bits, block) = (
      try node.int("bits", default: 4), try node.int("block_size", default: 128)
    )
    let rank = table.shape.rank
    guard [2, 4, 8].contains(bits), 1...1 << 24 ~= block,
      let gather = axis(try node.int("gather_axis", default: 0), rank),
      let quantize = axis(try node.int("quantize_axis", default: 1), rank), gather != quantize,
      let codes = bytes(table, bits), let scales = constant(node, 2)?.shape
    else { return false }
    let blocks = (codes.shape[quantize] + block - 1) / block
    guard scales == codes.shape.replacing(axis: quantize, with: blocks) else { return false }
    var zeros: AnyTensor?
    if has(node, 3) {
      guard let given = constant(node, 3), let points = bytes(given, bits, count: scales),
        points.shape == scales, points.dtype == codes.dtype
      else { return false }
      zeros = points
    } else if table.dtype == .uint8 {
      let middle = [UInt8](repeating: UInt8(1 << (bits - 1)), count: scales.count)
      zeros = .uint8(Tensor(scales, middle))
    }
    // Packed codes lie along the last axis.
    guard table.dtype != .uint8 || quantize == rank - 1 else { return false }
    let parts =
      [constant(codes, "\(node.inputs[0]).codes"), node.inputs[2]]
      + (zeros.map { [constant($0, "\(node.inputs[0]).zeros")] } ?? [])
    let rows = parts.map { emit("Gather", [$0, input(node, 1)], ["axis": .int(gather)]) }
    // Axes after the gathered one keep their distance from the end.
    let axis = quantize > gather ? quantize - rank : quantize
    emit(
      "DequantizeLinear", rows, ["axis": .int(axis), "block_size": .int(block)],
      to: node.outputs[0])
    return true
  }

  private func axis(_ axis: Int, _ rank: Int) -> Int? {
    -rank..<rank ~= axis ? (axis < 0 ? axis + rank : axis) : nil
  }

  /// Codes of a byte each, from bytes that hold several along the last axis or from types of 4
  /// bits.
  ///
  /// - Parameter count: The shape of the codes, if the last byte of a row may not be full.
  private func bytes(_ packed: AnyTensor, _ bits: Int, count: Shape? = nil) -> AnyTensor? {
    switch packed {
    case .int4: return packed.converted(to: .int8)
    case .uint4: return packed.converted(to: .uint8)
    case .uint8(let tensor):
      guard bits < 8 else { return packed }
      guard let width = tensor.shape.dimensions.last, width > 0 else { return nil }
      let full = width * 8 / bits
      let last = count?.dimensions.last ?? full
      guard full - 8 / bits < last, last <= full else { return nil }
      let codes = Self.unpacked(
        tensor.elements, rows: tensor.count / width, bytes: width, bits: bits, count: last)
      return .uint8(Tensor(tensor.shape.replacing(axis: tensor.shape.rank - 1, with: last), codes))
    default: return nil
    }
  }
}
