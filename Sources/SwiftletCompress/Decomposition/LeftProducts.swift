// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Turns products with constant weights on the left, W · x, into (xᵀ · Wᵀ)ᵀ while layers are
/// factored, so that code for weights on the right handles them.
struct LeftProducts {
  /// The graph, in which each such product is a MatMul with weights on the right between two
  /// Transposes.
  private(set) var graph: Graph
  private var turned: [Turned] = []
  /// Names of the constants in their original order.
  private let order: [String]

  private struct Turned {
    let original: Node
    /// Names of the transposed weights, input and output.
    let weights, input, output: String
  }

  /// Turns all products that allow it. Weights with other consumers are left alone, because they
  /// would be stored twice, and so are products whose input has an unknown rank.
  init(_ original: Graph) {
    graph = original
    order = Array(original.initializers.keys)
    let left = Set(original.nodes.indices.filter { Self.isLeft(original.nodes[$0], in: original) })
    guard !left.isEmpty, let interpreter = try? Interpreter(original),
      let infos = try? interpreter.infer(interpreter.inputShapes(batch: 2))
    else { return }
    var names = FreshNames(original)
    graph.nodes = []
    for (index, node) in original.nodes.enumerated() {
      guard left.contains(index), let rank = infos[node.inputs[1]]?.shape.rank, rank >= 2,
        let weights: Tensor<Float> = original.initializers[node.inputs[0]]?.typed()
      else {
        graph.nodes.append(node)
        continue
      }
      let base = node.reportName
      let product = Turned(
        original: node, weights: names.next("\(node.inputs[0]).turned"),
        input: names.next("\(base).in"), output: names.next("\(base).turned"))
      graph.initializers[node.inputs[0]] = nil
      graph.initializers[product.weights] = .float32(weights.transposed().contiguous())
      graph.keepHalf(of: node.inputs[0], for: product.weights)
      let perm = Attribute.ints(Array(0..<rank - 2) + [rank - 1, rank - 2])
      graph.nodes += [
        Node(
          "Transpose", name: names.next("\(base).before"), inputs: [node.inputs[1]],
          outputs: [product.input], attributes: ["perm": perm]),
        Node(
          "MatMul", name: base, inputs: [product.input, product.weights],
          outputs: [product.output]),
        Node(
          "Transpose", name: names.next("\(base).after"), inputs: [product.output],
          outputs: node.outputs, attributes: ["perm": perm]),
      ]
      turned.append(product)
    }
  }

  private static func isLeft(_ node: Node, in graph: Graph) -> Bool {
    guard let layer = try? LinearLayer(node, in: graph), layer.kind == .matMul, layer.isOnLeft,
      let weights = graph.initializers[layer.weights], weights.dtype == .float32,
      layer.layout(weights.shape) != nil
    else { return false }
    return graph.onlyReader(of: layer.weights) != nil
  }

  /// A graph derived from ``graph``, with all weights on the left again.
  func restored(_ made: Graph) -> Graph {
    var result = made
    guard !turned.isEmpty else { return result }
    for product in turned { Self.turnBack(product, in: &result) }
    result.removeUnusedInitializers()
    // Keep the order of unchanged constants.
    var sorted = result.initializers.filter { _ in false }
    for name in order { sorted[name] = result.initializers[name] }
    for (name, value) in result.initializers { sorted[name] = value }
    result.initializers = sorted
    return result
  }

  private static func turnBack(_ product: Turned, in graph: inout Graph) {
    let original = product.original
    guard let first = graph.producer(of: product.input),
      let last = graph.producer(of: original.outputs[0])
    else { return }
    // The nodes of the layer, or of the chain that replaced it, in order.
    var chain: [Node] = []
    var value = product.input
    while let next = graph.consumers(of: value).first, next != last {
      chain.append(graph.nodes[next])
      value = graph.nodes[next].outputs[0]
    }
    value = original.inputs[1]
    for index in chain.indices {
      let constant = chain[index].inputs[1]
      guard let tensor: Tensor<Float> = graph.initializers[constant]?.typed() else { return }
      let name = constant == product.weights ? original.inputs[0] : constant
      if chain[index].opType == "Add" {
        graph.initializers[name] = .float32(tensor.reshaped(to: [tensor.count, 1]))
        chain[index].inputs = [value, name]
      } else {
        graph.initializers[name] = .float32(tensor.transposed().contiguous())
        chain[index].inputs = [name, value]
      }
      value = chain[index].outputs[0]
    }
    if chain.count == 1, chain[0].inputs == original.inputs {
      chain = [original]
    } else if let end = chain.indices.last {
      chain[end].outputs = original.outputs
    }
    let dropped = Set(
      [first, last]
        + graph.nodes.indices.filter { position in
          position > first && position < last
            && chain.contains { $0.name == graph.nodes[position].name }
        })
    let before = graph.nodes[..<last].enumerated().filter { !dropped.contains($0.offset) }
    graph.nodes = before.map(\.element) + chain + graph.nodes[(last + 1)...]
  }
}
