// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
import SwiftletCore
import SwiftletGraph

/// Moves the range of activations' channels into the weights that multiply them.
///
/// Transformer encoders have a few channels that are far larger than the others, yet all share one
/// scale. With sⱼ = max|xⱼ|^α / max|wⱼ|^(1−α), channel j is divided by sⱼ, and the weights of the
/// layers that read it are multiplied by sⱼ, so the model computes the same function. If only such
/// layers read the value, the division is folded into the constants that produce it: those of
/// LayerNormalization, or of a Mul and an Add. Otherwise (for example, a residual sum reads the
/// value too) a Mul is inserted before the layers.
///
/// - Source: Xiao et al. 2022, arXiv:2211.10438.
struct SmoothQuant {
  /// α: how much of the activations' range moves into the weights, 0 to 1.
  let share: Double

  /// A Mul costs time in every run, so one is inserted only if the largest channel exceeds the
  /// median by this factor.
  private static let worthwhile: Float = 6

  /// A value read by layers, and how to smooth it.
  struct Candidate {
    let value: String
    /// The Gemm and MatMul layers that read it.
    let layers: [QuantizationScheme.Layer]
    /// Constants of the nodes that produce it, each with one number per channel; `nil` if a Mul
    /// must be inserted.
    let factors: [String]?
  }

  /// The values read by Gemm and MatMul layers whose weights nothing else reads.
  static func candidates(_ graph: Graph, _ scheme: QuantizationScheme) -> [Candidate] {
    var found: OrderedDictionary<String, [QuantizationScheme.Layer]> = [:]
    for layer in scheme.layers
    where !layer.isConv && !layer.isTurned
      && graph.consumers(of: layer.linear.weights).count == 1
    {
      found[layer.input, default: []].append(layer)
    }
    func isOwn(_ name: String) -> Bool {
      graph.initializers[name]?.dtype == .float32 && graph.consumers(of: name).count == 1
    }
    return found.compactMap { value, layers in
      let depth = layers[0].depth
      guard layers.allSatisfy({ $0.depth == depth }) else { return nil }
      let areAll = graph.consumers(of: value).count == layers.count && !graph.isOutput(value)
      var factors: [String]?
      if areAll, let producer = graph.producer(of: value) {
        factors = makers(graph, producer, depth, isOwn)
      }
      return Candidate(value: value, layers: layers, factors: factors)
    }
  }

  /// The constants that scale the channels of a node's output, if there are any.
  private static func makers(
    _ graph: Graph, _ index: Int, _ depth: Int, _ isOwn: (String) -> Bool
  ) -> [String]? {
    let node = graph.nodes[index]
    /// The operands of a sum or product of a value and a constant with one number per channel.
    func parts(_ node: Node) -> (value: String, constant: String)? {
      guard node.inputs.count == 2,
        let constant = node.inputs.first(where: { name in
          guard isOwn(name), let shape = graph.initializers[name]?.shape else { return false }
          return shape.count == depth && shape.dimensions.last == depth
        }), let value = node.inputs.first(where: { $0 != constant })
      else { return nil }
      return (value, constant)
    }
    switch node.opType {
    case "LayerNormalization":
      let constants = node.inputs[1...].filter { !$0.isEmpty }
      return constants.allSatisfy(isOwn) ? Array(constants) : nil
    case "Mul": return parts(node).map { [$0.constant] }
    case "Add":
      guard let sum = parts(node), let first = graph.producer(of: sum.value),
        graph.nodes[first].opType == "Mul", graph.onlyReader(of: sum.value) != nil,
        let product = parts(graph.nodes[first])
      else { return nil }
      return [product.constant, sum.constant]
    default: return nil
    }
  }

  /// - Parameter ranges: The largest magnitude in each channel, by the candidates' values.
  /// - Returns: The graph, and the number of values smoothed by existing constants and by an
  ///   inserted Mul.
  func apply(
    to graph: Graph, _ scheme: QuantizationScheme, ranges: [String: [Float]]
  ) -> (graph: Graph, folded: Int, inserted: Int) {
    var result = graph
    var (folded, products) = (0, OrderedDictionary<String, (Node, Set<Int>)>())
    var names = FreshNames(graph)
    for candidate in Self.candidates(graph, scheme) {
      guard let range = ranges[candidate.value], range.count == candidate.layers[0].depth else {
        continue
      }
      let factors = factors(range, candidate.layers)
      if let makers = candidate.factors {
        for name in makers { result.scale(name, by: factors.map { 1 / $0 }) { $0 } }
        folded += 1
      } else {
        guard Self.unevenness(range) > Self.worthwhile else { continue }
        let constant = names.next("\(candidate.value).smoothing")
        result.initializers[constant] = .float32(Tensor([factors.count], factors.map { 1 / $0 }))
        let node = Node(
          "Mul", name: names.next("\(candidate.value).smoothed.Mul"),
          inputs: [candidate.value, constant], outputs: [names.next("\(candidate.value).smoothed")])
        products[candidate.value] = (node, Set(candidate.layers.map(\.index)))
      }
      for layer in candidate.layers {
        result.scale(layer.linear.weights, by: factors) { layer.layout.channels(at: $0).input }
      }
    }
    for (product, layers) in products.values {
      for index in layers { result.nodes[index].inputs[0] = product.outputs[0] }
    }
    result.insert(products.mapValues(\.0))
    return (result, folded, products.count)
  }

  private func factors(_ range: [Float], _ layers: [QuantizationScheme.Layer]) -> [Float] {
    var largest = [Float](repeating: 0, count: range.count)
    for layer in layers {
      for position in 0..<layer.weights.count {
        let channel = layer.layout.channels(at: position).input
        largest[channel] = max(largest[channel], abs(layer.weights.span[position]))
      }
    }
    return zip(range, largest).map { activation, weight -> Float in
      guard activation > 0, weight > 0 else { return 1 }
      let factor = Float.pow(activation, Float(share)) / Float.pow(weight, Float(1 - share))
      return min(max(factor, 1e-4), 1e4)
    }
  }

  /// Ratio of the largest channel to the median.
  private static func unevenness(_ range: [Float]) -> Float {
    let sorted = range.sorted()
    guard let largest = sorted.last, largest > 0 else { return 1 }
    return largest / max(sorted[sorted.count / 2], .leastNormalMagnitude)
  }
}

extension Graph {
  /// Multiplies the elements of a constant by the factors of their channels.
  fileprivate mutating func scale(
    _ name: String, by factors: [Float], _ channel: (Int) -> Int
  ) {
    guard let tensor: Tensor<Float> = initializers[name]?.typed() else { return }
    initializers[name] = .float32(
      Tensor(tensor.shape, tensor.elements.enumerated().map { $1 * factors[channel($0)] }))
  }

  /// Inserts each node after the node that produces its value, or at the start for inputs of the
  /// graph.
  fileprivate mutating func insert(_ products: OrderedDictionary<String, Node>) {
    let given = Set(inputs.map(\.name))
    var result = products.filter { given.contains($0.key) }.map(\.value)
    for node in nodes {
      result.append(node)
      result += node.outputs.compactMap { products[$0] }
    }
    nodes = result
  }
}
