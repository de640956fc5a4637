// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// Products and convolutions with the operators fused into them, and products with weights of a
  /// few bits.
  mutating func expandProduct(_ node: Node) throws -> Bool {
    let output = node.outputs[0]
    switch node.opType {
    case "FusedConv":
      var attributes = node.attributes
      let name = try node.string("activation", default: "")
      let parameters = try node.floats("activation_params") ?? []
      (attributes["activation"], attributes["activation_params"]) = (nil, nil)
      var y = emit("Conv", (0..<3).map { input(node, $0) }, attributes)
      if has(node, 3) { y = emit("Add", [y, input(node, 3)]) }
      return activation(name, parameters, of: y, to: output)
    case "FusedGemm":
      var attributes = node.attributes
      let name = try node.string("activation", default: "")
      var parameters: [Float] = []
      for key in ["activation_alpha", "activation_beta", "activation_gamma"] {
        if attributes[key] != nil { parameters.append(try node.float(key, default: 0)) }
        attributes[key] = nil
      }
      attributes["activation"] = nil
      let y = emit("Gemm", (0..<3).map { input(node, $0) }, attributes)
      return activation(name, parameters, of: y, to: output)
    case "FusedMatMul", "TransposeMatMul":
      var sides: [String] = []
      for (index, side) in ["A", "B"].enumerated() {
        let isTurned = try node.int("trans\(side)", default: 0) != 0
        let isOutside = try node.int("transBatch\(side)", default: 0) != 0
        guard let x = matrices(input(node, index), isTurned, isOutside) else { return false }
        sides.append(x)
      }
      let alpha = try node.float("alpha", default: 1)
      let product = emit("MatMul", sides, to: alpha == 1 ? output : nil)
      if alpha != 1 { emit("Mul", [product, number(alpha)], to: output) }
      return true
    case "MatMulNBits": return try expandBlockwiseProduct(node)
    default: return false
    }
  }

  /// The value as matrices along its last two axes.
  ///
  /// - Parameters:
  ///   - isTurned: Whether its last two axes are to be exchanged.
  ///   - isOutside: Whether the rows are its first axis, before those of the batch.
  private mutating func matrices(_ x: String, _ isTurned: Bool, _ isOutside: Bool) -> String? {
    guard isTurned || isOutside else { return x }
    guard let rank = rank(x), rank >= 2 else {
      return isOutside ? nil : emit("Einsum", [x], ["equation": .string("...ij->...ji")])
    }
    var order = Array(0..<rank)
    if isOutside { order = Array(1..<rank - 1) + [0, rank - 1] }
    if isTurned { order.swapAt(rank - 2, rank - 1) }
    return emit("Transpose", [x], ["perm": .ints(order)])
  }

  /// A product with constant weights of 2, 4 or 8 bits, in blocks along their depth: the weights
  /// become a constant K×N and its `DequantizeLinear`. Where the members of a block are listed
  /// (`g_idx`), the columns of the left side are gathered in that order. Zero points that are no
  /// whole numbers are rounded, and what that leaves is a product with sums over blocks: Σ x·(q −
  /// z)·s = Σ x·(q − ⌊z⌉)·s − Σ x·(z − ⌊z⌉)·s.
  private mutating func expandBlockwiseProduct(_ node: Node) throws -> Bool {
    let (depth, columns) = (try node.int("K", default: 0), try node.int("N", default: 0))
    let (bits, block) = (try node.int("bits", default: 4), try node.int("block_size", default: 0))
    let limit = 1...1 << 24
    guard limit ~= depth, limit ~= columns, limit ~= block, [2, 4, 8].contains(bits),
      result.opset >= 21, case .uint8(let packed)? = constant(node, 1),
      case .float32(let scales)? = constant(node, 2)
    else { return false }
    let blocks = (depth + block - 1) / block
    guard let order = order(node, depth: depth, block: block) else { return false }
    let bytes = (block * bits + 7) / 8
    guard packed.count == columns * blocks * bytes, scales.count == columns * blocks else {
      return false
    }
    let codes = Self.unpacked(
      packed.elements, rows: columns * blocks, bytes: bytes, bits: bits, count: block)
    var turned = [UInt8](repeating: 0, count: depth * columns)
    for column in 0..<columns {
      for term in 0..<depth {
        turned[term * columns + column] = codes[column * blocks * block + order[term]]
      }
    }
    func byBlocks<T>(_ values: [T]) -> [T] {
      (0..<blocks).flatMap { block in (0..<columns).map { values[$0 * blocks + block] } }
    }
    guard let zeros = zeroPoints(node, columns: columns, blocks: blocks, bits: bits) else {
      return false
    }
    let points = zeros.map { UInt8(min(max(0, $0.rounded()), Float(1 << bits - 1))) }
    func tensor(_ shape: Shape, _ values: [UInt8]) -> AnyTensor {
      bits == 8
        ? .uint8(Tensor(shape, values)) : .uint4(Tensor(shape, values.map(UInt4.init(bits:))))
    }
    let base = node.inputs[1]
    let weights = emit(
      "DequantizeLinear",
      [
        constant(tensor([depth, columns], turned), "\(base).codes"),
        constant(.float32(Tensor([blocks, columns], byBlocks(scales.elements))), "\(base).scales"),
        constant(tensor([blocks, columns], byBlocks(points)), "\(base).zeros"),
      ], ["axis": .int(0), "block_size": .int(block)])
    let output = node.outputs[0]
    var rows = input(node, 0)
    if order != Array(0..<depth) {
      rows = emit("Gather", [rows, list(order)], ["axis": .int(-1)])
    }
    let rests = zip(zip(zeros, points), scales.elements).map { ($0.0 - Float($0.1)) * $1 }
    let isExact = zip(zeros, points).allSatisfy { $0 == Float($1) }
    let isLast = isExact && !has(node, 5)
    var product = emit("MatMul", [rows, weights], to: isLast ? output : nil)
    if !isExact {
      let members = (0..<depth * blocks).map { Float($0 / blocks / block == $0 % blocks ? 1 : 0) }
      let sums = emit(
        "MatMul", [rows, constant(.float32(Tensor([depth, blocks], members)), "\(base).blocks")])
      let rest = constant(.float32(Tensor([blocks, columns], byBlocks(rests))), "\(base).rests")
      product = emit(
        "Sub", [product, emit("MatMul", [sums, rest])], to: has(node, 5) ? nil : output)
    }
    if has(node, 5) { emit("Add", [product, input(node, 5)], to: output) }
    return true
  }

  /// Zero points of blocks, column by column: packed as the weights are, or numbers.
  ///
  /// - Returns: `nil` if there are more or fewer than blocks.
  private func zeroPoints(_ node: Node, columns: Int, blocks: Int, bits: Int) -> [Float]? {
    guard has(node, 3) else {
      return [Float](repeating: Float(1 << (bits - 1)), count: columns * blocks)
    }
    let bytes = (blocks * bits + 7) / 8
    switch constant(node, 3) {
    case .uint8(let packed)? where packed.count == columns * bytes:
      return Self.unpacked(packed.elements, rows: columns, bytes: bytes, bits: bits, count: blocks)
        .map(Float.init)
    case .float32(let numbers)? where numbers.count == columns * blocks:
      let zeros = numbers.elements
      return zeros.allSatisfy(\.isFinite) ? zeros : nil
    default: return nil
    }
  }

  /// The positions along the depth, those of a block together.
  ///
  /// - Returns: `nil` if a block has the wrong number of members.
  private func order(_ node: Node, depth: Int, block: Int) -> [Int]? {
    guard has(node, 4) else { return Array(0..<depth) }
    guard let blocks = constant(node, 4)?.integers, blocks.count >= depth else { return nil }
    let order = (0..<depth).sorted { (blocks[$0], $0) < (blocks[$1], $1) }
    return order.enumerated().allSatisfy { blocks[$1] == $0 / block } ? order : nil
  }

  /// The codes in rows of bytes, the first in the lowest bits.
  static func unpacked(
    _ packed: [UInt8], rows: Int, bytes: Int, bits: Int, count: Int
  ) -> [UInt8] {
    let (perByte, mask) = (8 / bits, UInt8(truncatingIfNeeded: 1 << bits - 1))
    var codes: [UInt8] = []
    codes.reserveCapacity(rows * count)
    for row in 0..<rows {
      for index in 0..<count {
        let byte = packed[row * bytes + index / perByte]
        codes.append(byte >> UInt8(index % perByte * bits) & mask)
      }
    }
    return codes
  }
}
