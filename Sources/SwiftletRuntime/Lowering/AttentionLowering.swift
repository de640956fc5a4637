// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// `Attention` over rows N×S×(heads·D) without a past, in which every head has its own keys.
enum AttentionLowering: LoweredOperator {
  static let opTypes = ["Attention"]

  static func accepts(_ node: Node, _ facts: GraphFacts) -> Bool {
    node.inputs.count >= 3 && node.inputs[..<3].allSatisfy { facts.isImages($0, ranks: 3...3) }
      && node.inputs.dropFirst(4).allSatisfy(\.isEmpty)
      && facts.isImages(node.outputs[0], ranks: 3...3) && heads(node) != nil
      && mask(node, facts) != nil
  }

  static func data(_ node: Node, _ facts: GraphFacts) -> [String] {
    if case .value? = mask(node, facts) {
      Array(node.inputs[..<4])
    } else {
      Array(node.inputs[..<3])
    }
  }

  /// The number of heads, if there is an instruction for this kind of attention.
  private static func heads(_ node: Node) -> Int? {
    guard let heads = try? node.int("q_num_heads", default: 0), heads > 0,
      (try? node.int("kv_num_heads", default: 0)) == heads,
      (try? node.float("softcap", default: 0)) == 0,
      (try? node.int("left_window_size", default: -1)) == -1,
      (try? node.int("right_window_size", default: -1)) == -1
    else { return nil }
    return heads
  }

  /// The term added to the scores.
  private enum Mask {
    case none
    /// One row of keys for all queries, or one per query.
    case constant(Tensor<Float>)
    /// Keys up to the query's position, plus an optional constant.
    case causal(Tensor<Float>?)
    /// N×1×1×T or N×1×S×T.
    case value(String)
  }

  private static func mask(_ node: Node, _ facts: GraphFacts) -> Mask? {
    let (queries, keys) = (facts.shape(node.inputs[0])[1], facts.shape(node.inputs[1])[1])
    guard let causal = try? node.int("is_causal", default: 0) else { return nil }
    var constant: Tensor<Float>?
    if facts.has(node, 3) {
      if let given = facts.floats(node, 3) {
        guard given.shape.dimensions.last == keys,
          given.count == keys
            || given.count == queries * keys && given.shape[given.shape.rank - 2] == queries
        else { return nil }
        constant = given
      } else {
        let shape = facts.shape(node.inputs[3])
        guard causal == 0, facts.isImages(node.inputs[3]), shape[1] == 1,
          shape[2] == 1 || shape[2] == queries, shape[3] == keys
        else { return nil }
        return .value(node.inputs[3])
      }
    }
    return causal != 0 ? .causal(constant) : constant.map(Mask.constant) ?? Mask.none
  }

  /// Zeros up to the query's position, and −∞ after it.
  private static func causal(_ queries: Int, _ keys: Int, _ constant: Tensor<Float>?) -> [Float] {
    let rows = constant?.elements
    var all = [Float](repeating: 0, count: queries * keys)
    for query in 0..<queries {
      for key in 0..<keys {
        let given = rows.map { $0[$0.count == keys ? key : query * keys + key] } ?? 0
        all[query * keys + key] = key > query ? -.infinity : given
      }
    }
    return all
  }

  static func lower(_ node: Node, into lowering: inout Lowering) {
    let facts = lowering.facts
    let inputs = node.inputs[..<3].map { lowering.float($0, .rows(3)) }
    let (queries, heads) = (lowering.values[inputs[0]], heads(node)!)
    let keys = lowering.values[inputs[1]].width
    let mask: AttentionInstruction.Mask
    switch Self.mask(node, facts)! {
    case .none: mask = .none
    case .constant(let rows):
      mask = .constant(AlignedMemory(rows.elements), rows: rows.count / keys)
    case .causal(let rows):
      mask = .constant(AlignedMemory(causal(queries.width, keys, rows)), rows: queries.width)
    case .value(let name): mask = .value(lowering.float(name, .rows(4)))
    }
    let depth = queries.channels / heads
    let scale = try? node.float("scale", default: 1 / Float(depth).squareRoot())
    let output = lowering.newValue(for: node.outputs[0], .float)
    lowering.bind(node.outputs[0], .float(output))
    lowering.add(
      AttentionInstruction(
        label: node.label, query: inputs[0], key: inputs[1], value: inputs[2], mask: mask,
        heads: heads, scale: scale!, output: output))
  }
}
