// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// Attention and positions of language models, against plain loops.
struct StandardAttentionTests {
  private func random(_ count: Int, _ generator: inout RandomGenerator) -> [Float] {
    Tensor<Float>([count], normalUsing: &generator).elements
  }

  private func run(
    _ node: Node, _ inputs: OrderedDictionary<String, AnyTensor>,
    _ constants: [String: AnyTensor] = [:], opset: Int = 17
  ) throws -> [String: [Float]] {
    var graph = Graph(name: "attention", nodes: [node], opset: opset)
    graph.inputs = inputs.map { name, value in
      ValueInfo(name, value.dtype, value.shape.dimensions.map(Dimension.fixed))
    }
    graph.outputs = node.outputs.map { ValueInfo($0, .float32, []) }
    for (name, value) in constants { graph.initializers[name] = value }
    let standard = graph.inStandardOperators()
    #expect(standard.nodes.allSatisfy { $0.domain.isEmpty && $0.opType != "RotaryEmbedding" })
    let bound = Dictionary(uniqueKeysWithValues: inputs.map { ($0.key, $0.value) })
    return try Interpreter(standard).run(bound, ExecutionContext()).mapValues {
      try $0.require(Float.self).elements
    }
  }

  /// Cosines and sines of 8 positions for `half` pairs.
  private func tables(_ half: Int) -> (cosines: [Float], sines: [Float]) {
    let angles = (0..<8 * half).map { (index: Int) -> Float in
      Float(index / half) / powf(10, Float(index % half))
    }
    return (angles.map { cosf($0) }, angles.map { sinf($0) })
  }

  /// One head's features at a position, turned.
  private func turned(_ x: [Float], _ position: Int, _ half: Int, interleaved: Bool) -> [Float] {
    let (cosines, sines) = tables(half)
    var result = x
    for pair in 0..<half {
      let (first, second) = interleaved ? (2 * pair, 2 * pair + 1) : (pair, pair + half)
      let (c, s) = (cosines[position * half + pair], sines[position * half + pair])
      result[first] = x[first] * c - x[second] * s
      result[second] = x[second] * c + x[first] * s
    }
    return result
  }

  private func dot(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).reduce(Float(0)) { $0 + $1.0 * $1.1 }
  }

  private func close(_ found: [Float]?, _ wanted: [Float]) -> Bool {
    guard let found, found.count == wanted.count else { return false }
    return zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-5 }
  }

  @Test(arguments: [false, true], ["", "com.microsoft"])
  func rotaryEmbedding(interleaved: Bool, domain: String) throws {
    var generator = RandomGenerator(seed: 3)
    // 2 samples of 3 positions with 2 heads of 6 features, of which 4 are turned.
    let x = random(2 * 3 * 2 * 6, &generator)
    let positions = [[2, 0, 5], [1, 7, 3]]
    let (cosines, sines) = tables(2)
    let wide = AnyTensor.int64(Tensor([2, 3], positions.joined().map(Int64.init)))
    let node = Node(
      "RotaryEmbedding", name: "r", domain: domain,
      inputs: domain.isEmpty ? ["x", "c", "s", "p"] : ["x", "p", "c", "s"], outputs: ["y"],
      attributes: [
        "num_heads": .int(2), "rotary_embedding_dim": .int(4),
        "interleaved": .int(interleaved ? 1 : 0),
      ])
    let found = try run(
      node, ["x": .float32(Tensor([2, 3, 12], x)), "p": wide],
      ["c": .float32(Tensor([8, 2], cosines)), "s": .float32(Tensor([8, 2], sines))],
      opset: domain.isEmpty ? 23 : 17)
    let wanted = (0..<12).flatMap { (row: Int) -> [Float] in
      let features = Array(x[row * 6..<row * 6 + 6])
      let position = positions[row / 6][row / 2 % 3]
      return turned(features, position, 2, interleaved: interleaved)
    }
    #expect(close(found["y"], wanted))
  }

  /// Causal attention of 4 heads that share 2 of keys and values, after 2 positions of before.
  @Test(arguments: [-1, 2], [0, 1.5] as [Float])
  func groupQueryAttention(window: Int, softcap: Float) throws {
    var generator = RandomGenerator(seed: 5)
    let (heads, shared, size, past, count) = (4, 2, 4, 2, 3)
    let q = random(count * heads * size, &generator)
    let k = random(count * shared * size, &generator)
    let v = random(count * shared * size, &generator)
    let (pastK, pastV) = (
      random(shared * past * size, &generator), random(shared * past * size, &generator)
    )
    let (cosines, sines) = tables(2)
    let node = Node(
      "GroupQueryAttention", name: "g", domain: "com.microsoft",
      inputs: ["q", "k", "v", "pk", "pv", "lengths", "total", "c", "s"],
      outputs: ["y", "keys", "values"],
      attributes: [
        "num_heads": .int(heads), "kv_num_heads": .int(shared), "do_rotary": .int(1),
        "local_window_size": .int(window), "softcap": .float(softcap),
      ])
    let found = try run(
      node,
      [
        "q": .float32(Tensor([1, count, heads * size], q)),
        "k": .float32(Tensor([1, count, shared * size], k)),
        "v": .float32(Tensor([1, count, shared * size], v)),
        "pk": .float32(Tensor([1, shared, past, size], pastK)),
        "pv": .float32(Tensor([1, shared, past, size], pastV)),
        "lengths": .int32(Tensor([1], [Int32(past + count - 1)])),
        "total": .int32(Tensor([1], [Int32(past + count)])),
      ],
      ["c": .float32(Tensor([8, 2], cosines)), "s": .float32(Tensor([8, 2], sines))])
    func row(_ rows: [Float], _ place: Int) -> [Float] {
      Array(rows[place * size..<(place + 1) * size])
    }
    func key(_ head: Int, _ position: Int) -> [Float] {
      position < past
        ? row(pastK, head * past + position)
        : turned(row(k, (position - past) * shared + head), position, 2, interleaved: false)
    }
    func value(_ head: Int, _ position: Int) -> [Float] {
      position < past
        ? row(pastV, head * past + position) : row(v, (position - past) * shared + head)
    }
    var wanted: [Float] = []
    for query in 0..<count {
      for head in 0..<heads {
        let own = turned(row(q, query * heads + head), past + query, 2, interleaved: false)
        let first = window > 0 ? max(0, past + query - window + 1) : 0
        let seen = first...past + query
        let weights = seen.map { position -> Float in
          let score = dot(own, key(head / 2, position)) / 2
          return expf(softcap > 0 ? softcap * tanhf(score / softcap) : score)
        }
        let sum = weights.reduce(0, +)
        let values = seen.map { value(head / 2, $0) }
        for feature in 0..<size {
          let column = values.map { $0[feature] }
          wanted.append(dot(weights, column) / sum)
        }
      }
    }
    #expect(close(found["y"], wanted))
    var (keys, values) = ([Float](), [Float]())
    for head in 0..<shared {
      for position in 0..<past + count {
        keys += key(head, position)
        values += value(head, position)
      }
    }
    #expect(close(found["keys"], keys))
    #expect(close(found["values"], values))
  }
}
