import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with single operators in place of what exporters spell out: layer normalization,
  /// attention over rows N×S×C, curves such as `Gelu` and `Swish`, products of dynamically quantized rows.
  ///
  /// The operators may be newer than the graph's operator set, so that the result is to be run and not
  /// to be written. Results differ by rounding only, but for queries whose keys are all forbidden by
  /// −∞: `Attention` gives 0 where a `Softmax` gives NaN.
  ///
  /// - Parameter infos: Types and shapes of all values.
  package func fusingPatterns(_ infos: [String: TensorInfo]) -> Graph {
    var fusion = Fusion(replacingKnownValues(infos), infos)
    fusion.fuseNormalizations()
    fusion.fuseCurves()
    fusion.fuseAttention()
    fusion.fuseDynamicQuantization()
    return fusion.result
  }

  /// The same graph with constants in place of nodes whose results follow from the shapes of the inputs:
  /// exporters write the extents of heads, and what scores are divided by, as computations.
  private func replacingKnownValues(_ infos: [String: TensorInfo]) -> Graph {
    let fixed = Set(outputs.map(\.name))
    var result = self
    result.nodes = []
    for node in nodes {
      // Quantized weights stay what they are.
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

/// A graph in which nodes are replaced by others that do the work of several.
///
/// A replacement stands where the last of these stood, and writes what it wrote. What nobody reads any
/// more is dropped at the end, so that values in between may have other readers.
struct Fusion {
  private(set) var graph: Graph
  let infos: [String: TensorInfo]
  private let index: GraphIndex
  private let results: Set<String>
  private var hasChanged = false

  init(_ graph: Graph, _ infos: [String: TensorInfo]) {
    (self.graph, self.infos) = (graph, infos)
    index = graph.index
    results = Set(graph.outputs.map(\.name))
  }

  /// The graph without what has been replaced.
  var result: Graph {
    guard hasChanged else { return graph }
    var result = graph
    result.removeUnusedNodes()
    result.removeUnusedInitializers()
    return result
  }

  mutating func replace(_ index: Int, by node: Node) {
    graph.nodes[index] = node
    hasChanged = true
  }

  // MARK: Looking around

  func producer(_ name: String) -> (index: Int, node: Node)? {
    index.producers[name].map { ($0, graph.nodes[$0]) }
  }

  /// The node that writes a value, if it is of the given kind and of ONNX's own.
  func producer(_ name: String, _ opType: String) -> Node? {
    guard let (_, node) = producer(name), node.opType == opType, node.domain.isEmpty,
      node.outputs.count == 1
    else { return nil }
    return node
  }

  /// The node that reads a value, if it does so once and no other does.
  func onlyReader(_ name: String) -> (index: Int, node: Node)? {
    let readers = index.consumers(of: name)
    guard !results.contains(name), readers.count == 1 else { return nil }
    let node = graph.nodes[readers[0]]
    guard node.domain.isEmpty, node.outputs.count == 1, node.reads.count(where: { $0 == name }) == 1
    else { return nil }
    return (readers[0], node)
  }

  func shape(_ name: String) -> Shape? { infos[name]?.shape }

  /// A constant of one element, which does not raise the rank of what it is combined with.
  func scalar(_ name: String, rank: Int) -> Float? {
    guard case .float32(let tensor)? = graph.initializers[name], tensor.count == 1,
      tensor.shape.rank <= rank
    else { return nil }
    return tensor.elements[0]
  }

  /// The inputs of a node of two operands of which one is a scalar constant.
  func scaled(_ node: Node, commutes: Bool) -> (value: String, by: Float)? {
    guard node.inputs.count == 2, let rank = shape(node.outputs[0])?.rank else { return nil }
    if let by = scalar(node.inputs[1], rank: rank) { return (node.inputs[0], by) }
    guard commutes, let by = scalar(node.inputs[0], rank: rank) else { return nil }
    return (node.inputs[1], by)
  }
}
