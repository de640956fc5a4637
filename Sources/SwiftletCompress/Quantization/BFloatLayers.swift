// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// Stores the weights of chosen layers as bf16 and rounds their inputs to bf16.
///
/// In the file, the weights take half the space and are followed by a `Cast` to fp32; the layer's
/// input goes through a pair of `Cast` nodes that rounds it to bf16. Every runtime computes the
/// same result, up to the order of summation. Ours selects bf16 kernels where it expects them to be
/// faster.
///
/// - Source: Kalamkar et al. 2019, arXiv:1905.12322: bf16 products accumulated in fp32.
package struct BFloatLayers {
  /// Names of the layers: node names or names of their first outputs.
  let names: Set<String>

  /// - Parameter names: Names of nodes, or of their first outputs.
  package init(_ names: some Sequence<String>) { self.names = Set(names) }

  /// Converts the named Conv, Gemm and MatMul layers of the graph.
  ///
  /// - Parameter reports: Reports of the graph's layers so far; those of layers converted to bf16
  ///   are replaced.
  package func apply(
    to graph: Graph, _ reports: [LayerReport] = []
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let chosen = graph.nodes.filter {
      $0.isStandard && WeightedLayer.operators.contains($0.opType)
        && !names.isDisjoint(with: [$0.name, $0.outputs[0]])
    }
    guard !chosen.isEmpty else { return (graph, reports) }
    var writer = Writer(graph, chosen)
    let made = try chosen.map { node in
      let reason = try writer.round(node)
      return LayerReport(
        node, .quantize, changed: reason == nil, reason ?? "bf16 weights and input")
    }
    let replaced = Set(made.map(\.layer))
    return (writer.result(), reports.filter { !replaced.contains($0.layer) } + made)
  }

  /// A graph whose layers are being converted.
  private struct Writer {
    private var graph: Graph
    private var names: FreshNames
    /// Nodes to put before a layer, and the layer itself, by its first output.
    private var replacements: [String: [Node]] = [:]
    /// Names of rounded values and restored weights, by their original names.
    private var rounded: [String: String] = [:]
    /// First outputs of all layers to convert.
    private let chosen: Set<String>

    init(_ graph: Graph, _ layers: [Node]) {
      self.graph = graph
      names = FreshNames(graph)
      chosen = Set(layers.map { $0.outputs[0] })
    }

    /// - Returns: The reason why the layer was not converted; `nil` if it was.
    mutating func round(_ node: Node) throws -> String? {
      guard let linear = try LinearLayer(node, in: graph) else { return "it has no weights" }
      guard !linear.isOnLeft else {
        return "its weights are the left operand; only weights on the right can be bf16"
      }
      guard let weights: Tensor<Float> = graph.initializers[linear.weights]?.typed() else {
        return "its weights are not an fp32 constant"
      }
      guard graph.initializers[linear.data] == nil else { return "its input is constant" }
      let others = graph.consumers(of: linear.weights).filter {
        !chosen.contains(graph.nodes[$0].outputs[0])
      }
      guard others.isEmpty, !graph.isOutput(linear.weights) else {
        return "other nodes read its weights as fp32, so bf16 would store a second copy"
      }
      let halves = weights.map(\.roundedToBFloat)
      guard halves.isFinite else { return "its weights overflow in bf16" }
      var (layer, before) = (node, [Node]())
      layer.inputs[linear.dataInput] = pair(linear.data, &before)
      layer.inputs[linear.weightInput] = stored(linear.weights, halves, &before)
      replacements[node.outputs[0]] = before + [layer]
      return nil
    }

    private mutating func cast(_ value: String, to type: Int, _ base: String) -> Node {
      Node(
        "Cast", name: names.next("\(base).Cast"), inputs: [value], outputs: [names.next(base)],
        attributes: ["to": .int(type)])
    }

    /// The name of the value rounded to bf16. The first layer that needs it adds the `Cast` nodes;
    /// later ones share them.
    private mutating func pair(_ value: String, _ nodes: inout [Node]) -> String {
      if let known = rounded[value] { return known }
      let bf16 = cast(value, to: 16, "\(value).bf16")
      let restored = cast(bf16.outputs[0], to: 1, "\(value).rounded")
      nodes += [bf16, restored]
      rounded[value] = restored.outputs[0]
      return restored.outputs[0]
    }

    /// The name of the weights restored to fp32. The constant stays fp32 in memory, rounded to
    /// bf16: the ONNX writer stores constants whose only readers are `Cast` nodes to fp32 as bf16.
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
