// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletBLAS
public import SwiftletCore

/// softmax(q·kᵀ·scale + bias)·v for each head, where the bias excludes keys by a mask, by causal
/// order, by a window or as padding: q N×heads×S×D, k and v N×heads×T×D, or with the heads side by
/// side in N×S×(heads·D). Several heads of q may share one head of k and v.
///
/// - Source: ONNX `Attention`, operator sets 23 to 25; Vaswani et al. 2017.
public struct Attention: RealOperator {
  public static let opType = "Attention"
  private let queryHeads, keyHeads: Int
  private let isCausal: Bool
  private let scale: Float?
  private let softcap: Float
  /// The content of the fourth output: 0 products, 1 capped, 2 with the bias, 3 after the softmax.
  private let shownStage: Int
  /// The number of keys before and after a query's position that it attends to; negative for all.
  private let window: (before: Int, after: Int)
  private let outputs: Int

  public init(_ node: Node, opset: Int) throws {
    queryHeads = try node.int("q_num_heads", default: 0)
    keyHeads = try node.int("kv_num_heads", default: 0)
    isCausal = try node.int("is_causal", default: 0) != 0
    scale = node.attributes["scale"] == nil ? nil : try node.float("scale", default: 1)
    softcap = try node.float("softcap", default: 0)
    shownStage = try node.int("qk_matmul_output_mode", default: 0)
    window = (
      try node.int("left_window_size", default: -1), try node.int("right_window_size", default: -1)
    )
    outputs = max(1, node.outputs.count)
    guard 0...3 ~= shownStage, queryHeads >= 0, keyHeads >= 0 else {
      throw SwiftletError(
        .badInput,
        "Attention has \(queryHeads) and \(keyHeads) heads, which must be at least 0, and "
          + "qk_matmul_output_mode \(shownStage), which must be 0 to 3")
    }
  }

  /// The extents of a call.
  private struct Sizes {
    var batch, queryHeads, keyHeads, queries, newKeys, pastKeys, depth, width: Int
    var keys: Int { pastKeys + newKeys }
    var scores: Shape { [batch, queryHeads, queries, keys] }
    /// The first key of a query head, counting all heads and images.
    func firstKey(ofHead head: Int) -> Int {
      let shared = queryHeads / keyHeads
      return (head / queryHeads * keyHeads + head % queryHeads / shared) * keys
    }
  }

  private func sizes(_ inputs: [TensorInfo?]) throws -> Sizes {
    let (q, k) = (try floating(inputs, 0, "queries"), try floating(inputs, 1, "keys"))
    let v = try floating(inputs, 2, "values")
    func input(_ index: Int) -> TensorInfo? { index < inputs.count ? inputs[index] : nil }
    let shapes = [q.shape, k.shape, v.shape]
    guard shapes.allSatisfy({ $0.rank == q.shape.rank }), 3...4 ~= q.shape.rank,
      [k, v].allSatisfy({ $0.dtype == q.dtype && $0.shape[0] == q.shape[0] })
    else {
      throw mismatch("queries \(q.shape), keys \(k.shape) and values \(v.shape) do not match")
    }
    /// Heads, length and depth.
    func split(_ shape: Shape, _ heads: Int) throws -> (Int, Int, Int) {
      if shape.rank == 4 { return (shape[1], shape[2], shape[3]) }
      guard heads > 0, shape[2] % heads == 0 else {
        throw mismatch("\(heads) heads do not divide \(shape)")
      }
      return (heads, shape[1], shape[2] / heads)
    }
    let (query, key) = (try split(q.shape, queryHeads), try split(k.shape, keyHeads))
    let value = try split(v.shape, keyHeads)
    var sizes = Sizes(
      batch: q.shape[0], queryHeads: query.0, keyHeads: key.0, queries: query.1, newKeys: key.1,
      pastKeys: 0, depth: query.2, width: value.2)
    guard key.0 == value.0, key.1 == value.1, key.2 == query.2, key.0 > 0, query.0 % key.0 == 0,
      query.2 > 0, value.2 > 0
    else {
      throw mismatch("queries \(q.shape), keys \(k.shape) and values \(v.shape) do not match")
    }
    if let past = input(4) {
      sizes.pastKeys = past.shape.rank == 4 ? past.shape[2] : 0
      let heads = [sizes.batch, sizes.keyHeads, sizes.pastKeys]
      guard past.shape.dimensions == heads + [sizes.depth], past.dtype == q.dtype,
        input(5)?.shape.dimensions == heads + [sizes.width], input(5)?.dtype == q.dtype
      else {
        throw mismatch("past keys \(past.shape) and values \(input(5)?.shape ?? []) do not match")
      }
    }
    _ = try Shape(checking: [sizes.batch, sizes.queryHeads, sizes.queries, sizes.keys])
    if let mask = input(3) {
      var extents = mask.shape.dimensions
      guard mask.dtype == .bool || mask.dtype == q.dtype, let last = extents.popLast(),
        last <= sizes.keys,
        Shape(extents).broadcast(with: Shape(sizes.scores.dimensions.dropLast()))
          == Shape(sizes.scores.dimensions.dropLast())
      else {
        throw mismatch("mask \(mask.dtype) \(mask.shape) does not match scores \(sizes.scores)")
      }
    }
    if let lengths = input(6), lengths.dtype != .int64 || lengths.shape != [sizes.batch] {
      throw mismatch("lengths \(lengths.dtype) \(lengths.shape) do not match the batch")
    }
    return sizes
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let sizes = try sizes(inputs)
    let q = inputs[0]!
    let (batch, heads) = (sizes.batch, sizes.keyHeads)
    let y =
      q.shape.rank == 4
      ? [batch, sizes.queryHeads, sizes.queries, sizes.width]
      : [batch, sizes.queries, sizes.queryHeads * sizes.width]
    let shapes = [
      y, [batch, heads, sizes.keys, sizes.depth], [batch, heads, sizes.keys, sizes.width],
      sizes.scores.dimensions,
    ]
    return try shapes.prefix(outputs).map { TensorInfo(q.dtype, try Shape(checking: $0)) }
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let q = inputs[0], let k = inputs[1], k.rank >= 3, k.count > 0 else { return 0 }
    return 2 * q.count * k[k.rank - 2]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func compute<T: LayerElement>(
    _ inputs: [AnyTensor?], as _: T.Type, _ threads: Threads
  ) throws -> [Tensor<T>] {
    let sizes = try sizes(inputs.map { $0.map(TensorInfo.init) })
    func heads(_ index: Int, _ count: Int, past: Int? = nil) throws -> Tensor<T> {
      var tensor = try inputs[index]!.require(T.self)
      if tensor.shape.rank == 3 {
        let extents = [tensor.shape[0], tensor.shape[1], count, tensor.shape[2] / count]
        tensor = tensor.reshaped(to: Shape(extents)).permuted(to: [0, 2, 1, 3])
      }
      guard let past, past < inputs.count, let earlier = inputs[past] else {
        return tensor.contiguous()
      }
      return Self.joined(try earlier.require(T.self).contiguous(), tensor.contiguous())
    }
    let q = try heads(0, sizes.queryHeads)
    let k = try heads(1, sizes.keyHeads, past: 4)
    let v = try heads(2, sizes.keyHeads, past: 5)
    let bias = try bias(inputs, sizes, T.self)
    let (rows, columns) = (sizes.queries, sizes.keys)
    let factor = scale.map { T($0) } ?? 1 / T(sizes.depth).squareRoot()
    var scores = Tensor<T>(zeros: [sizes.batch * sizes.queryHeads, rows * columns])
    var shown = scores
    if scores.count > 0 {
      threads.forEachBlock(of: &scores, minimumWork: 1) { block, output in
        for head in block {
          var part = output.part(
            (head - block.lowerBound) * rows * columns..<(head - block.lowerBound + 1) * rows
              * columns)
          BLAS.gemm(
            m: rows, n: columns, k: sizes.depth, alpha: factor,
            a: q.span.extracting((head * rows * sizes.depth)...), lda: sizes.depth,
            b: k.span.extracting((sizes.firstKey(ofHead: head) * sizes.depth)...), ldb: sizes.depth,
            transposeB: true, c: &part, ldc: columns)
        }
      }
      shown = softmax(&scores, bias, sizes)
    }
    var y = Tensor<T>(zeros: [sizes.batch * sizes.queryHeads, rows * sizes.width])
    if scores.count > 0 {
      let probabilities = scores
      threads.forEachBlock(of: &y, minimumWork: 1) { block, output in
        for head in block {
          let first = (head - block.lowerBound) * rows * sizes.width
          var part = output.part(first..<first + rows * sizes.width)
          BLAS.gemm(
            m: rows, n: sizes.width, k: columns,
            a: probabilities.span.extracting((head * rows * columns)...), lda: columns,
            b: v.span.extracting((sizes.firstKey(ofHead: head) * sizes.width)...), ldb: sizes.width,
            c: &part,
            ldc: sizes.width)
        }
      }
    }
    var result = y.reshaped(to: [sizes.batch, sizes.queryHeads, rows, sizes.width])
    if inputs[0]!.shape.rank == 3 {
      result = result.permuted(to: [0, 2, 1, 3])
        .reshaped(to: [sizes.batch, rows, sizes.queryHeads * sizes.width])
    }
    return Array([result, k, v, shown.reshaped(to: sizes.scores)].prefix(outputs))
  }

  /// Concatenates two tensors along the third of four axes.
  private static func joined<T: LayerElement>(_ a: Tensor<T>, _ b: Tensor<T>) -> Tensor<T> {
    var result = Tensor<T>(
      uninitialized: [a.shape[0], a.shape[1], a.shape[2] + b.shape[2], a.shape[3]])
    let lengths = (a.shape[2] * a.shape[3], b.shape[2] * b.shape[3])
    var target = result.mutableSpan
    for head in 0..<a.shape[0] * a.shape[1] {
      let start = head * (lengths.0 + lengths.1)
      target.copy(a.span.extracting(head * lengths.0..<(head + 1) * lengths.0), to: start)
      target.copy(
        b.span.extracting(head * lengths.1..<(head + 1) * lengths.1), to: start + lengths.0)
    }
    return result
  }

  /// Turns scores into probabilities, 0 in rows that exclude all keys; returns the stage that the
  /// fourth output shows.
  private func softmax<T: LayerElement>(
    _ scores: inout Tensor<T>, _ bias: Tensor<T>, _ sizes: Sizes
  ) -> Tensor<T> {
    var shown = scores
    if softcap > 0 {
      let cap = T(softcap)
      scores = scores.map { cap * T.tanh($0 / cap) }
      if shownStage == 1 { shown = scores }
    }
    let (columns, count) = (sizes.keys, scores.count / sizes.keys)
    var values = scores.mutableSpan
    for i in values.indices { values[i] += bias.span[i] }
    if shownStage == 2 { shown = scores }
    var rows = scores.mutableSpan
    for row in 0..<count {
      var part = rows.part(row * columns..<(row + 1) * columns)
      let own = bias.span.extracting(row * columns..<(row + 1) * columns)
      guard own.indices.contains(where: { own[$0] != -.infinity }) else {
        part.fill(with: 0)
        continue
      }
      var greatest = -T.infinity
      for i in part.indices { greatest = max(greatest, part[i]) }
      var sum: T = 0
      for i in part.indices {
        part[i] = T.exp(part[i] - greatest)
        sum += part[i]
      }
      for i in part.indices { part[i] /= sum }
    }
    return shownStage == 3 ? scores : shown
  }

  /// The term added to the scores: −∞ for excluded keys.
  private func bias<T: LayerElement>(
    _ inputs: [AnyTensor?], _ sizes: Sizes, _: T.Type
  ) throws -> Tensor<T> {
    var bias = Tensor<T>(zeros: sizes.scores)
    let lengths = inputs.count > 6 ? inputs[6]?.integers : nil
    let mask: Tensor<T>? = try (inputs.count > 3 ? inputs[3] : nil).map { mask in
      guard case .bool(let allowed) = mask else { return try mask.require() }
      return allowed.map { $0 ? 0 : -.infinity }
    }
    let given = mask?.shape.dimensions.last ?? 0
    let full = mask?.broadcast(to: sizes.scores.replacing(axis: 3, with: given)).contiguous()
    var values = bias.mutableSpan
    let (queries, keys) = (sizes.queries, sizes.keys)
    for row in 0..<sizes.batch * sizes.queryHeads * queries {
      let image = row / queries / sizes.queryHeads
      // The position of the query among the keys.
      let offset = sizes.pastKeys > 0 || lengths == nil ? sizes.pastKeys : lengths![image] - queries
      let own = row % queries + offset
      for key in 0..<keys {
        var value: T = 0
        if let full { value = key < given ? full.span[row * given + key] : -.infinity }
        let isForbidden =
          isCausal && key > own || window.before >= 0 && own - key > window.before
          || window.after >= 0 && key - own > window.after
          || lengths.map { key >= $0[image] } ?? false
        values[row * keys + key] = isForbidden ? -.infinity : value
      }
    }
    return bias
  }
}
