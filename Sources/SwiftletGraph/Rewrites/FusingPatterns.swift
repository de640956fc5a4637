// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with single operators in place of the patterns that exporters write: layer
  /// normalization, attention over rows N×S×C, curves such as `Gelu` and `Swish`, tables of 8-bit
  /// codes, products of dynamically quantized rows.
  ///
  /// The operators may be newer than the graph's operator set, so the result is for running, not
  /// for writing. Results differ only by rounding, except for queries whose keys are all excluded
  /// by −∞: `Attention` gives 0 where a `Softmax` gives NaN.
  ///
  /// - Parameter infos: Types and shapes of all values.
  package func fusingPatterns(_ infos: [String: TensorInfo]) -> Graph {
    var fusion = Fusion(replacingKnownValues(infos), infos)
    fusion.fuseNormalizations()
    fusion.fuseTables()
    fusion.fuseCurves()
    fusion.fuseAttention()
    fusion.fuseDynamicQuantization()
    return fusion.result
  }

  /// The same graph with nodes whose results follow from the input shapes replaced by constants:
  /// exporters write the extents of heads, and the divisor of scores, as computations.
  private func replacingKnownValues(_ infos: [String: TensorInfo]) -> Graph {
    let fixed = Set(outputs.map(\.name))
    var result = self
    result.nodes = []
    for node in nodes {
      // Quantized weights are unchanged.
      guard node.opType != "DequantizeLinear", fixed.isDisjoint(with: node.outputs),
        node.outputs.allSatisfy({ infos[$0]?.value != nil })
      else {
        result.nodes.append(node)
        continue
      }
      for name in node.outputs { result.initializers[name] = infos[name]!.value }
    }
    if result.nodes.count < nodes.count { result.removeUnusedInitializers() }
    return result
  }
}

/// A graph in which single nodes replace groups of others.
///
/// A replacement takes the position of the last replaced node, and its outputs. Nodes without
/// remaining readers are dropped at the end, so that intermediate values may have other readers.
struct Fusion {
  private(set) var graph: Graph
  let infos: [String: TensorInfo]
  private let index: GraphIndex
  private let results: Set<String>
  private var hasChanged = false
  /// Most graphs get no constant.
  private lazy var names = FreshNames(graph)

  init(_ graph: Graph, _ infos: [String: TensorInfo]) {
    (self.graph, self.infos) = (graph, infos)
    index = graph.index
    results = Set(graph.outputs.map(\.name))
  }

  /// The graph without the replaced nodes.
  var result: Graph {
    guard hasChanged else { return graph }
    var result = graph
    result.removeUnusedNodes()
    result.removeUnusedInitializers()
    return result
  }

  /// Adds a constant.
  ///
  /// - Returns: Its name.
  mutating func add(_ constant: AnyTensor, _ name: String) -> String {
    let name = names.next(name)
    graph.initializers[name] = constant
    return name
  }

  mutating func replace(_ index: Int, by node: Node) {
    graph.nodes[index] = node
    hasChanged = true
  }

  // MARK: Looking around

  func producer(_ name: String) -> (index: Int, node: Node)? {
    index.producers[name].map { ($0, graph.nodes[$0]) }
  }

  /// The node that writes a value, if it has the given type and ONNX's domain.
  func producer(_ name: String, _ opType: String) -> Node? {
    guard let (_, node) = producer(name), node.opType == opType, node.domain.isEmpty,
      node.outputs.count == 1
    else { return nil }
    return node
  }

  /// The node that reads a value, if it is the only reader and reads it once.
  func onlyReader(_ name: String) -> (index: Int, node: Node)? {
    let readers = index.consumers(of: name)
    guard !results.contains(name), readers.count == 1 else { return nil }
    let node = graph.nodes[readers[0]]
    guard node.domain.isEmpty, node.outputs.count == 1, node.reads.count(where: { $0 == name }) == 1
    else { return nil }
    return (readers[0], node)
  }

  func shape(_ name: String) -> Shape? { infos[name]?.shape }

  /// A constant of one element that does not raise the rank of its partner.
  func scalar(_ name: String, rank: Int) -> Float? {
    guard case .float32(let tensor)? = graph.initializers[name], tensor.count == 1,
      tensor.shape.rank <= rank
    else { return nil }
    return tensor.elements[0]
  }

  /// The inputs of a binary node of which one is a scalar constant.
  func scaled(_ node: Node, commutes: Bool) -> (value: String, by: Float)? {
    guard node.inputs.count == 2, let rank = shape(node.outputs[0])?.rank else { return nil }
    if let by = scalar(node.inputs[1], rank: rank) { return (node.inputs[0], by) }
    guard commutes, let by = scalar(node.inputs[0], rank: rank) else { return nil }
    return (node.inputs[1], by)
  }
}
