// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// Operators that pass values through sequences and optional values.
  static let sequenceOperators: Set<String> = [
    "ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "SequenceAt",
    "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
    "SequenceMap", "SplitToSequence",
  ]

  /// Follows the values of sequences whose length and positions are known; only names remain of
  /// them.
  mutating func expandSequence(_ node: Node) throws -> Bool {
    let output = node.outputs[0]
    let known = has(node, 0) ? sequences[node.inputs[0]] : nil
    switch node.opType {
    case "SequenceEmpty": sequences[output] = []
    case "SequenceConstruct": sequences[output] = node.inputs
    case "SequenceInsert":
      guard var values = known, let place = place(node, 2, count: values.count, isEnd: true) else {
        return false
      }
      values.insert(input(node, 1), at: place)
      sequences[output] = values
    case "SequenceErase":
      guard var values = known, let place = place(node, 1, count: values.count, isEnd: false) else {
        return false
      }
      values.remove(at: place)
      sequences[output] = values
    case "SequenceAt":
      guard let values = known, has(node, 1),
        let place = place(node, 1, count: values.count, isEnd: false)
      else { return false }
      emit("Identity", [values[place]], to: output)
    case "SequenceLength":
      guard let values = known else { return false }
      emit("Identity", [integer(values.count)], to: output)
    case "ConcatFromSequence":
      guard let values = known, !values.isEmpty else { return false }
      let axis = try node.int("axis", default: 0)
      let isNew = try node.int("new_axis", default: 0) != 0
      let parts = isNew ? values.map { unsqueeze($0, [axis]) } : values
      emit("Concat", parts, ["axis": .int(axis)], to: output)
    case "SplitToSequence": return try split(node)
    case "SequenceMap": return try map(node)
    case "Identity":
      guard let known else { return false }
      sequences[output] = known
    case "Optional", "OptionalGetElement":
      guard has(node, 0) else { return false }
      if let known {
        sequences[output] = known
      } else {
        emit("Identity", [node.inputs[0]], to: output)
      }
    case "OptionalHasElement":
      // A missing input is absent; a tensor or a sequence is present.
      let isThere = constant(.bool(Tensor([], [has(node, 0)])), "\(output).isThere")
      emit("Identity", [isThere], to: output)
    default: return false
    }
    return true
  }

  /// A constant position in a sequence; for an omitted input, its end.
  private func place(_ node: Node, _ index: Int, count: Int, isEnd: Bool) -> Int? {
    guard isEnd || count > 0 else { return nil }
    guard has(node, index) else { return isEnd ? count : count - 1 }
    guard let value = constant(node, index), value.shape.count == 1 else { return nil }
    let given = value.integers[0]
    let place = given < 0 ? given + count : given
    return 0..<(isEnd ? count + 1 : count) ~= place ? place : nil
  }

  /// Pieces of constant lengths; of one length, the last of which may be shorter; or, without any,
  /// of length 1, whose axis need not be kept.
  private mutating func split(_ node: Node) throws -> Bool {
    let axis = try node.int("axis", default: 0)
    let lengths: [Int]
    if let value = constant(node, 1), value.shape.rank == 1 {
      lengths = value.integers
    } else {
      guard let extent = shapes.extent(input(node, 0), axis) else { return false }
      var length = 1
      if has(node, 1) {
        guard let value = constant(node, 1), value.shape.rank == 0 else { return false }
        length = value.integers[0]
      }
      guard length > 0 else { return false }
      lengths = stride(from: 0, to: extent, by: length).map { min(length, extent - $0) }
    }
    guard 1...1 << 12 ~= lengths.count else { return false }
    let names = lengths.indices.map { fresh("\($0)") }
    split(input(node, 0), axis: axis, lengths, to: names)
    let keepsAxis = try has(node, 1) || node.int("keepdims", default: 1) != 0
    sequences[node.outputs[0]] = keepsAxis ? names : names.map { squeeze($0, [axis]) }
    return true
  }

  /// The body once for each element of the first sequence; other inputs are sequences too, or the
  /// same tensor for all.
  private mutating func map(_ node: Node) throws -> Bool {
    let body = try node.graph("body")
    guard let count = sequences[input(node, 0)]?.count, body.inputs.count == node.inputs.count,
      body.outputs.count == node.outputs.count, count * max(1, body.nodes.count) <= 1 << 14,
      node.inputs.allSatisfy({ sequences[$0].map { $0.count == count } ?? true })
    else { return false }
    var results = node.outputs.map { _ in [String]() }
    for place in 0..<count {
      let made = inline(body, node.inputs.map { sequences[$0]?[place] ?? $0 })
      for (index, name) in made.enumerated() { results[index].append(name) }
    }
    for (output, values) in zip(node.outputs, results) { sequences[output] = values }
    return true
  }
}
