// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension Fusion {
  /// softmax(q·kᵀ·scale + mask)·v between splitting rows N×S×(heads·D) into heads and joining them
  /// becomes `Attention` over the rows.
  mutating func fuseAttention() {
    for index in graph.nodes.indices where graph.nodes[index].opType == "Softmax" {
      guard let attention = attention(around: graph.nodes[index]) else { continue }
      replace(attention.end, by: attention.node)
    }
  }

  private func attention(around softmax: Node) -> (end: Int, node: Node)? {
    guard let scores = scores(of: softmax), let shape = shape(softmax.outputs[0]),
      let (_, product) = onlyReader(softmax.outputs[0]), product.opType == "MatMul",
      product.inputs[0] == softmax.outputs[0],
      let q = split(scores.product.inputs[0], order: [0, 2, 1, 3]),
      let k = split(scores.product.inputs[1], order: [0, 2, 3, 1]),
      let v = split(product.inputs[1], order: [0, 2, 1, 3]), v.factor == 1,
      q.heads == k.heads, q.heads == v.heads, q.heads == shape[1]
    else { return nil }
    guard let (_, transpose) = onlyReader(product.outputs[0]), transpose.opType == "Transpose",
      (try? transpose.ints("perm")) == [0, 2, 1, 3],
      let (end, join) = onlyReader(transpose.outputs[0]), join.opType == "Reshape",
      let joined = self.shape(join.outputs[0]), let queries = self.shape(q.rows),
      let values = self.shape(v.rows),
      joined == [queries[0], queries[1], values[2]]
    else { return nil }
    let heads = Attribute.int(q.heads)
    let scale = Attribute.float(q.factor * k.factor * scores.factor)
    return (
      end,
      Node(
        "Attention", name: softmax.name,
        inputs: [q.rows, k.rows, v.rows] + (scores.mask.map { [$0] } ?? []), outputs: join.outputs,
        attributes: ["q_num_heads": heads, "kv_num_heads": heads, "scale": scale])
    )
  }

  /// The product of queries and keys under a softmax, its factor, and the added mask.
  private func scores(of softmax: Node) -> (product: Node, factor: Float, mask: String?)? {
    guard let shape = shape(softmax.inputs[0]), shape.rank == 4,
      infos[softmax.inputs[0]]?.dtype == .float32,
      let axis = try? softmax.int("axis", default: graph.opset < 13 ? 1 : -1),
      axis == -1 || axis == 3
    else { return nil }
    if let (product, factor) = unscaled(softmax.inputs[0]) { return (product, factor, nil) }
    guard let sum = producer(softmax.inputs[0], "Add") else { return nil }
    for (value, mask) in [(0, 1), (1, 0)].map({ (sum.inputs[$0], sum.inputs[$1]) }) {
      guard let (product, factor) = unscaled(value), self.shape(value) == shape,
        infos[mask]?.dtype == .float32, let extents = self.shape(mask),
        extents.dimensions.last == shape[3]
      else { continue }
      return (product, factor, mask)
    }
    return nil
  }

  private func unscaled(_ name: String) -> (product: Node, factor: Float)? {
    let (source, factor) = withoutFactors(name)
    return producer(source, "MatMul").map { ($0, factor) }
  }

  /// The value that scalars multiply or divide, and their total factor.
  private func withoutFactors(_ name: String) -> (source: String, factor: Float) {
    var (name, factor) = (name, Float(1))
    while let (_, node) = producer(name), ["Mul", "Div"].contains(node.opType),
      let (value, by) = scaled(node, commutes: node.opType == "Mul")
    {
      factor = node.opType == "Mul" ? factor * by : factor / by
      name = value
    }
    return (name, factor)
  }

  /// Traces a value N×heads×S×D, or in another order of axes, back to rows N×S×(heads·D).
  ///
  /// - Parameter order: The axes of N×S×heads×D in the value's order.
  private func split(
    _ name: String, order: [Int]
  ) -> (rows: String, heads: Int, factor: Float)? {
    var (name, factor, axes) = (name, Float(1), [0, 1, 2, 3])
    while true {
      let (source, by) = withoutFactors(name)
      (name, factor) = (source, factor * by)
      guard let transpose = producer(name, "Transpose"), let order = try? transpose.ints("perm"),
        order.count == 4
      else { break }
      axes = axes.map { order[$0] }
      name = transpose.inputs[0]
    }
    guard axes == order, let reshape = producer(name, "Reshape"),
      let rows = shape(reshape.inputs[0]), let heads = shape(name), rows.rank == 3, heads.rank == 4,
      heads[0] == rows[0], heads[1] == rows[1], heads[2] > 0
    else { return nil }
    return (reshape.inputs[0], heads[2], factor)
  }
}
