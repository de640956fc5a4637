// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// onnxruntime's `Attention` and `MultiHeadAttention`, decomposed in the form that exporters
  /// write and sessions recognize.
  mutating func expandAttention(_ node: Node) throws -> Bool {
    switch node.opType {
    case "Attention": try expandSelfAttention(node)
    case "MultiHeadAttention": try expandMultiHeadAttention(node)
    default: false
    }
  }

  /// Rows N×S×C of queries, keys and values, and what is known of their attention.
  struct Attention {
    var q, k, v: String
    let heads: Int
    /// Heads of keys and values, each of which serves several of the queries'.
    var keyHeads: Int?
    /// Whether keys and values come as heads already, N×heads×T×C.
    var keysAreHeads = false
    let scale: Float?
    var maskValue: Float = 0
    let isCausal: Bool
    /// Keys that a query sees at most, its own the last of them.
    var window: Int?
    /// Which keys count: whole numbers, as lengths N, ends and starts 2N, or 1 or 0 for each key,
    /// N×T or N×S×T.
    var mask = ""
    /// What is added to the scores.
    var bias = ""
    /// Scores are bounded by c·tanh(score / c).
    var softcap: Float?
    /// Positions are told by turning queries and keys: by what, and by which cosines and sines.
    var rotation: Rotation?
    let past: (keys: String, values: String)?
    let present: (keys: String, values: String)?
  }

  private func settings(
    _ node: Node
  ) throws -> (heads: Int, scale: Float?, maskValue: Float, isCausal: Bool)? {
    let heads = try node.int("num_heads", default: 0)
    guard 1...1 << 16 ~= heads, result.opset >= 11, try node.int("do_rotary", default: 0) == 0,
      try node.int("past_present_share_buffer", default: 0) == 0
    else { return nil }
    let scale = try node.float("scale", default: 0)
    return (
      heads, scale == 0 ? nil : scale, try node.float("mask_filter_value", default: -10_000),
      try node.int("unidirectional", default: 0) != 0
    )
  }

  /// Queries, keys and values are products of one input with weights side by side.
  private mutating func expandSelfAttention(_ node: Node) throws -> Bool {
    guard let (heads, scale, maskValue, isCausal) = try settings(node), !has(node, 6), has(node, 1),
      rank(node.inputs[1]) ?? 2 == 2
    else { return false }
    let width = shapes.extent(node.inputs[1], 1)
    guard width.map({ $0 > 0 }) ?? true else { return false }
    let sizes =
      try node.ints("qkv_hidden_sizes") ?? width.map { [Int](repeating: $0 / 3, count: 3) }
    if let sizes {
      guard sizes.count == 3, sizes.allSatisfy({ 1...1 << 24 ~= $0 && $0 % heads == 0 }),
        width ?? sizes.reduce(0, +) == sizes.reduce(0, +)
      else { return false }
    }
    guard let rows = projections(node, sizes) else { return false }
    // Past keys and values are stacked along a first axis.
    var past: (String, String)?
    if has(node, 4) {
      let parts = (0..<2).map { emit("Gather", [input(node, 4), integer($0)], ["axis": .int(0)]) }
      past = (parts[0], parts[1])
    }
    var present: (keys: String, values: String)?
    if output(node, 1) != nil { present = (fresh("keys"), fresh("values")) }
    guard
      attend(
        Attention(
          q: rows[0], k: rows[1], v: rows[2], heads: heads,
          scale: scale ?? sizes.map { 1 / Float($0[0] / heads).squareRoot() }, maskValue: maskValue,
          isCausal: isCausal, mask: input(node, 3), bias: input(node, 5), past: past,
          present: present), to: node.outputs[0])
    else { return false }
    if let present, let joined = output(node, 1) {
      let parts = [unsqueeze(present.keys, [0]), unsqueeze(present.values, [0])]
      emit("Concat", parts, ["axis": .int(0)], to: joined)
    }
    return true
  }

  /// Rows of queries, keys and values: products with parts of constant weights, else parts of the
  /// product.
  ///
  /// - Parameter sizes: Their widths; without, all have the same.
  private mutating func projections(_ node: Node, _ sizes: [Int]?) -> [String]? {
    let roles = ["query", "key", "value"]
    let bias = constant(node, 2)
    guard let sizes, case .float32(let weights)? = constant(node, 1), !has(node, 2) || bias != nil
    else {
      let product = emit("MatMul", [input(node, 0), input(node, 1)])
      let sum = has(node, 2) ? emit("Add", [product, input(node, 2)]) : product
      let parts = roles.map { fresh($0) }
      if let sizes {
        split(sum, axis: 2, sizes, to: parts)
      } else {
        split(sum, axis: 2, to: parts)
      }
      return parts
    }
    var addends: Tensor<Float>?
    if let bias {
      guard case .float32(let given) = bias, given.shape == [weights.shape[1]] else { return nil }
      addends = given
    }
    var start = 0
    return zip(roles, sizes).map { role, size in
      let range = start..<start + size
      start += size
      let part = weights.slice(axis: 1, range: range).contiguous()
      let product = emit(
        "MatMul", [input(node, 0), constant(.float32(part), "\(node.inputs[1]).\(role)")])
      guard let addends else { return product }
      let own = addends.slice(axis: 0, range: range).contiguous()
      return emit("Add", [product, constant(.float32(own), "\(node.inputs[2]).\(role)")])
    }
  }

  private mutating func expandMultiHeadAttention(_ node: Node) throws -> Bool {
    guard let (heads, scale, maskValue, isCausal) = try settings(node), has(node, 1), has(node, 2),
      node.inputs.count <= 8, node.outputs.count <= 3, has(node, 6) == has(node, 7)
    else { return false }
    var rows = (0..<3).map { input(node, $0) }
    let keysAreHeads = rank(rows[1]) == 4
    guard rank(rows[0]) ?? 3 == 3, rank(rows[1]) ?? 3 == (keysAreHeads ? 4 : 3),
      rank(rows[2]) ?? 3 == (keysAreHeads ? 4 : 3), !keysAreHeads || !has(node, 6)
    else { return false }
    if has(node, 3) {
      // Keys and values that come as heads have theirs already.
      guard let parts = addends(node, rows, keysAreHeads) else { return false }
      for (index, part) in parts.enumerated() { rows[index] = emit("Add", [rows[index], part]) }
    }
    let past = has(node, 6) ? (input(node, 6), input(node, 7)) : nil
    var present: (keys: String, values: String)?
    if output(node, 1) != nil || output(node, 2) != nil {
      present = (output(node, 1) ?? fresh("keys"), output(node, 2) ?? fresh("values"))
    }
    return attend(
      Attention(
        q: rows[0], k: rows[1], v: rows[2], heads: heads, keysAreHeads: keysAreHeads,
        scale: scale, maskValue: maskValue, isCausal: isCausal, mask: input(node, 4),
        bias: input(node, 5), past: past, present: present), to: node.outputs[0])
  }

  /// The parts of a bias, which lie one after the other, for queries, keys and values, or for
  /// queries alone.
  ///
  /// - Returns: `nil` if it does not have their widths.
  private mutating func addends(
    _ node: Node, _ rows: [String], _ isOfQueries: Bool
  ) -> [String]? {
    let name = node.inputs[3]
    let parts = isOfQueries ? 1 : 3
    guard rank(name) ?? 1 == 1 else { return nil }
    let values = isOfQueries ? nil : shapes.extent(rows[2], -1)
    if case .float32(let bias)? = constant(node, 3) {
      let width = shapes.extent(rows[0], -1) ?? values.map { (bias.count - $0) / 2 }
      if let width {
        let ends = [width, 2 * width, bias.count]
        guard width > 0, 2 * width < bias.count,
          values.map({ bias.count - 2 * width == $0 }) ?? true
        else { return nil }
        return zip([0] + ends, ends).prefix(parts).enumerated().map { index, range in
          let part = bias.slice(axis: 0, range: range.0..<range.1).contiguous()
          return constant(.float32(part), "\(name).\(index)")
        }
      }
    }
    let width = emit("Gather", [emit("Shape", [rows[0]]), list([-1])])
    let twice = emit("Add", [width, width])
    let bounds = [list([0]), width, twice, list([Int(Int32.max)])]
    return (0..<parts).map { emit("Slice", [name, bounds[$0], bounds[$0 + 1], list([0])]) }
  }

  /// softmax(q·kᵀ·scale + masks)·v of heads.
  mutating func attend(_ call: Attention, to output: String) -> Bool {
    func heads(
      _ rows: String, _ count: Int, _ order: [Int], _ expansion: inout StandardExpansion
    ) -> String {
      let split = expansion.emit("Reshape", [rows, expansion.list([0, 0, count, -1])])
      return expansion.emit("Transpose", [split], ["perm": .ints(order)])
    }
    let keyHeads = call.keyHeads ?? call.heads
    let isSplit = call.keysAreHeads
    var q = heads(call.q, call.heads, [0, 2, 1, 3], &self)
    var v = isSplit ? call.v : heads(call.v, keyHeads, [0, 2, 1, 3], &self)
    var k: String
    if call.past == nil && call.present == nil && call.keyHeads == nil && !isSplit {
      k = heads(call.k, keyHeads, [0, 2, 3, 1], &self)
    } else {
      var keys = isSplit ? call.k : heads(call.k, keyHeads, [0, 2, 1, 3], &self)
      if let rotation = call.rotation {
        let angles = angles(rotation, after: call.past?.keys, of: q)
        (q, keys) = (rotate(q, angles, rotation), rotate(keys, angles, rotation))
      }
      if let past = call.past {
        keys = emit("Concat", [past.keys, keys], ["axis": .int(2)])
        v = emit("Concat", [past.values, v], ["axis": .int(2)])
      }
      if let present = call.present {
        keys = emit("Identity", [keys], to: present.keys)
        v = emit("Identity", [v], to: present.values)
      }
      if keyHeads != call.heads {
        let served = list((0..<call.heads).map { $0 * keyHeads / call.heads })
        keys = emit("Gather", [keys, served], ["axis": .int(1)])
        v = emit("Gather", [v, served], ["axis": .int(1)])
      }
      k = emit("Transpose", [keys], ["perm": .ints([0, 1, 3, 2])])
    }
    let factor: String
    if let scale = call.scale {
      factor = number(scale)
    } else {
      let depth = emit("Gather", [emit("Shape", [q]), integer(3)])
      factor = emit("Reciprocal", [emit("Sqrt", [emit("Cast", [depth], ["to": .int(1)])])])
    }
    var scores = emit("Mul", [emit("MatMul", [q, k]), factor])
    if let softcap = call.softcap {
      let bounded = emit("Tanh", [emit("Div", [scores, number(softcap)])])
      scores = emit("Mul", [bounded, number(softcap)])
    }
    var addends: [String] = []
    if !call.mask.isEmpty {
      guard let mask = mask(call, k) else { return false }
      addends.append(mask)
    }
    if call.isCausal { addends.append(causalMask(q, k, call.window)) }
    if !call.bias.isEmpty { addends.append(call.bias) }
    if let first = addends.first {
      let sum = addends.dropFirst().reduce(first) { emit("Add", [$0, $1]) }
      scores = emit("Add", [scores, sum])
    }
    let weights = emit("Softmax", [scores], ["axis": .int(-1)])
    let joined = emit("Transpose", [emit("MatMul", [weights, v])], ["perm": .ints([0, 2, 1, 3])])
    emit("Reshape", [joined, list([0, 0, -1])], to: output)
    return true
  }

  /// The term added to scores that excludes all keys except those of the mask.
  private mutating func mask(_ call: Attention, _ k: String) -> String? {
    let allowed: String
    switch rank(call.mask) ?? 2 {
    case 1:
      guard let inside = insideOfLengths(call, k) else { return nil }
      allowed = unsqueeze(inside, [1, 2])
    case 2: allowed = unsqueeze(emit("Cast", [call.mask], ["to": .int(9)]), [1, 2])
    case 3: allowed = unsqueeze(emit("Cast", [call.mask], ["to": .int(9)]), [1])
    default: return nil
    }
    return emit("Where", [allowed, number(0), number(call.maskValue)])
  }

  /// Whether positions of keys, N×T, are before the ends of their texts, and from their starts on:
  /// the mask has N ends; N ends and N starts; or N lengths and 2N + 2 sums of them.
  private mutating func insideOfLengths(_ call: Attention, _ k: String) -> String? {
    let (samples, counts) = (shapes.extents(call.q, 0), shapes.extents(call.mask, 0))
    let isKnown = shapes.extent(call.q, 0) != nil && shapes.extent(call.mask, 0) != nil
    func are(_ count: (Int) -> Int) -> Bool { !samples.isEmpty && samples.map(count) == counts }
    let positions = emit("Range", [integer(0), keyCount(k), integer(1)])
    let mask = emit("Cast", [call.mask], ["to": .int(7)])
    if are({ $0 }) { return emit("Less", [positions, unsqueeze(mask, [1])]) }
    guard !isKnown || are({ 2 * $0 }) || are({ 3 * $0 + 2 }) else { return nil }
    let count = emit("Gather", [emit("Shape", [call.q]), list([0])])
    let ends = emit("Slice", [mask, list([0]), count, list([0])])
    let isBefore = emit("Less", [positions, unsqueeze(ends, [1])])
    if are({ 3 * $0 + 2 }) { return isBefore }
    // Zeros in place of starts that are not there.
    let twice = emit("Add", [count, count])
    let padded = emit("Concat", [mask, emit("Expand", [integer(0), count])], ["axis": .int(0)])
    let next = emit("Slice", [padded, count, twice, list([0])])
    let areStarts = emit("Cast", [emit("Equal", [emit("Shape", [mask]), twice])], ["to": .int(7)])
    let starts = unsqueeze(emit("Mul", [next, areStarts]), [1])
    return emit("And", [isBefore, emit("Not", [emit("Less", [positions, starts])])])
  }

  /// Cosines and sines for the positions of queries N×heads×S×C, which come after keys of before.
  private mutating func angles(
    _ rotation: Rotation, after past: String?, of q: String
  ) -> (cosines: String, sines: String) {
    let first = past.map { emit("Gather", [emit("Shape", [$0]), integer(2)]) } ?? integer(0)
    let positions = consecutive(from: first, q, axis: 2)
    return (
      emit("Gather", [rotation.cosines, positions]), emit("Gather", [rotation.sines, positions])
    )
  }

  /// What is added to scores so that no query sees keys after its own, or before its window.
  private mutating func causalMask(_ q: String, _ k: String, _ window: Int?) -> String {
    let count = keyCount(k)
    let queries = emit("Gather", [emit("Shape", [q]), integer(2)])
    let keys = emit("Range", [integer(0), count, integer(1)])
    let own = emit("Range", [emit("Sub", [count, queries]), count, integer(1)])
    let column = unsqueeze(own, [1])
    var isHidden = emit("Greater", [keys, column])
    if let window {
      let isBefore = emit("Less", [emit("Add", [keys, integer(window - 1)]), column])
      isHidden = emit("Or", [isHidden, isBefore])
    }
    return emit("Where", [isHidden, number(-.greatestFiniteMagnitude), number(0)])
  }

  private mutating func keyCount(_ k: String) -> String {
    emit("Gather", [emit("Shape", [k]), integer(3)])
  }
}
