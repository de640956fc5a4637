// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Layers that read their input and have their weights in bf16.
///
/// In a file these are weights of half the size, with a `Cast` to fp32 behind them, and a pair of
/// `Cast` in front of the layer that rounds its input to bf16. Every runtime computes the same of
/// that, up to the order of sums; ours takes bf16 kernels for it where they are expected to be
/// faster.
///
/// - Source: Kalamkar et al. 2019, arXiv:1905.12322, for products of bf16 with sums in fp32.
struct BFloatLayers {
  /// Of nodes, or of their first outputs.
  let names: Set<String>

  init(_ names: some Sequence<String>) { self.names = Set(names) }

  /// - Parameter reports: What is known of the graph's layers; those of layers that become bf16 are
  ///   replaced.
  func apply(
    to graph: Graph, _ reports: [LayerReport] = []
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let chosen = graph.nodes.filter {
      WeightedLayer.operators.contains($0.opType)
        && !names.isDisjoint(with: [$0.name, $0.outputs[0]])
    }
    guard !chosen.isEmpty else { return (graph, reports) }
    var writer = Writer(graph, chosen)
    let made = chosen.map { node in
      let reason = writer.round(node)
      return LayerReport(
        node, .quantize, changed: reason == nil, reason ?? "bf16 weights and input")
    }
    let replaced = Set(made.map(\.layer))
    return (writer.result(), reports.filter { !replaced.contains($0.layer) } + made)
  }

  /// The graph while layers change.
  private struct Writer {
    private var graph: Graph
    private var names: FreshNames
    /// Nodes to put before a layer, and the layer itself, by its first output.
    private var replacements: [String: [Node]] = [:]
    /// What became of values and of weights.
    private var rounded: [String: String] = [:]
    /// The outputs of all layers that are to become bf16.
    private let chosen: Set<String>

    init(_ graph: Graph, _ layers: [Node]) {
      self.graph = graph
      names = FreshNames(graph)
      chosen = Set(layers.map { $0.outputs[0] })
    }

    /// - Returns: Why the layer stays as it is, if it does.
    mutating func round(_ node: Node) -> String? {
      guard let weights: Tensor<Float> = graph.initializers[node.inputs[1]]?.typed() else {
        return "its weights are no fp32 constant, and cannot be bf16"
      }
      guard graph.initializers[node.inputs[0]] == nil else { return "its input is constant" }
      let others = graph.consumers(of: node.inputs[1]).filter {
        !chosen.contains(graph.nodes[$0].outputs[0])
      }
      guard others.isEmpty, !graph.isOutput(node.inputs[1]) else {
        return "others read its weights in fp32: bf16 would be a second copy"
      }
      let halves = weights.map(\.roundedToBFloat)
      guard halves.isFinite else { return "its weights are not finite in bf16" }
      var (layer, before) = (node, [Node]())
      layer.inputs[0] = pair(node.inputs[0], &before)
      layer.inputs[1] = stored(node.inputs[1], halves, &before)
      replacements[node.outputs[0]] = before + [layer]
      return nil
    }

    private mutating func cast(_ value: String, to type: Int, _ base: String) -> Node {
      Node(
        "Cast", name: names.next("\(base).Cast"), inputs: [value], outputs: [names.next(base)],
        attributes: ["to": .int(type)])
    }

    /// The value rounded; by the nodes of the first layer that reads it so.
    private mutating func pair(_ value: String, _ nodes: inout [Node]) -> String {
      if let known = rounded[value] { return known }
      let bf16 = cast(value, to: 16, "\(value).bf16")
      let restored = cast(bf16.outputs[0], to: 1, "\(value).rounded")
      nodes += [bf16, restored]
      rounded[value] = restored.outputs[0]
      return restored.outputs[0]
    }

    /// Constants that nothing but a `Cast` to fp32 reads are bf16 in a file.
    private mutating func stored(
      _ name: String, _ weights: Tensor<Float>, _ nodes: inout [Node]
    ) -> String {
      if let known = rounded[name] { return known }
      let constant = names.next("\(name).bf16")
      graph.initializers[constant] = .float32(weights)
      let restored = cast(constant, to: 1, "\(name).rounded")
      nodes.append(restored)
      rounded[name] = restored.outputs[0]
      return restored.outputs[0]
    }

    func result() -> Graph {
      var result = graph
      result.nodes = graph.nodes.flatMap { node in
        node.outputs.first.flatMap { replacements[$0] } ?? [node]
      }
      result.removeUnusedInitializers()
      return result
    }
  }
}
