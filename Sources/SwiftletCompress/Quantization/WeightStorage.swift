// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// The names and layout of the constants that replace quantized weights.
struct StoredCodes {
  let codes, scales: String
  let axis: Int
  /// Number of consecutive indices of ``axis`` that share a scale; `nil` if each has its own.
  var blockSize: Int?
  var dtype = DType.int8
  /// Whether the codes are of the transposed matrix.
  var isTransposed = false

  /// `int8 weights, a scale per channel`, for a report.
  var summary: String {
    "\(dtype) weights, " + (blockSize.map { "groups of \($0)" } ?? "a scale per channel")
  }
}

/// Stores weights as int8 and restores them at the start of the graph for all their readers, so
/// that there is one copy. Subgraphs store their own weights themselves.
struct WeightStorage {
  private let keeping: Set<String>
  /// Whether to quantize weights that are not stored yet too.
  private let storesOthers: Bool
  /// Always 8 bits: with one scale per row of a recurrent layer or table, fewer bits lose too much,
  /// and 7 bits take as many bytes.
  private let grid = WeightGrid(bits: 8)
  /// A report for each node with weights, in the order of the graph.
  private(set) var reports: [LayerReport] = []

  init(_ settings: QuantizationSettings, storesOthers: Bool = true) {
    (keeping, self.storesOthers) = (settings.unquantized, storesOthers)
  }

  /// The constants of one graph to store as codes.
  private struct Found {
    let graph: Graph
    /// Constants that are already stored as codes.
    let stored: [String: StoredCodes]
    /// Constants that stay floats, with reasons.
    let pinned: [String: String]
    /// The scale axis of each constant to restore.
    var axes: OrderedDictionary<String, Int> = [:]
  }

  /// - Parameters:
  ///   - stored: Constants that are already stored as codes: their other readers will read the same
  ///     codes.
  ///   - excluding: Nodes that go on reading the constants, by their first output.
  mutating func apply(
    to graph: Graph, stored: [String: StoredCodes] = [:], excluding: Set<String> = []
  ) -> Graph {
    var result = graph
    var found = Found(
      graph: graph, stored: stored, pinned: WeightUse.pinned(in: graph, keeping))
    let turned = graph.turnedConstants
    var read: Set<String> = []
    for index in result.nodes.indices {
      let node = result.nodes[index]
      for name in node.attributes.keys.sorted() {
        guard case .graph(let inner)? = node.attributes[name] else { continue }
        collect(inner, hiding: [], &found)
        if storesOthers { result.nodes[index].attributes[name] = .graph(apply(to: inner)) }
      }
      guard let output = node.outputs.first, !excluding.contains(output) else { continue }
      read.formUnion(node.reads)
      for use in WeightUse.find(node, turned: turned, constant: { graph.initializers[$0] }) {
        add(use, &found)
      }
    }
    // Nodes that are not layers, such as sums, also read the codes of constants that layers have
    // stored.
    for name in stored.keys.sorted() where read.contains(name) && found.axes[name] == nil {
      found.axes[name] = stored[name]!.axis
    }
    write(found, excluding, &result)
    return result
  }

  /// Collects the constants of the outer graph that a subgraph reads.
  private mutating func collect(_ inner: Graph, hiding names: Set<String>, _ found: inout Found) {
    let own = names.union(inner.initializers.keys)
    for node in inner.nodes {
      let outer = found.graph
      for use in WeightUse.find(
        node, constant: { own.contains($0) ? nil : outer.initializers[$0] })
      { add(use, &found) }
      for case .graph(let next) in node.attributes.values {
        collect(next, hiding: own, &found)
      }
    }
  }

  private mutating func add(_ use: WeightUse, _ found: inout Found) {
    let stored = found.stored[use.weights]
    guard storesOthers || stored != nil else { return }
    if !keeping.isDisjoint(with: [use.node.name, use.node.outputs[0]]) {
      return refuse(use, "the settings keep it as floats")
    }
    if let reason = found.pinned[use.weights] { return refuse(use, reason) }
    if found.axes[use.weights] == nil {
      let weights: Tensor<Float>? = found.graph.initializers[use.weights]?.typed()
      guard stored != nil || weights?.isFinite == true else {
        return refuse(use, "its weights have NaN or infinite elements")
      }
      found.axes[use.weights] = use.axis
    }
    guard reports.last?.layer != use.node.reportName else { return }
    reports.append(
      LayerReport(
        use.node, .quantize, changed: true,
        (stored?.summary ?? "int8 weights, a scale per channel") + ", restored before use"))
  }

  private mutating func refuse(_ use: WeightUse, _ reason: String) {
    reports.removeAll { $0.layer == use.node.reportName }
    reports.append(LayerReport(use.node, .quantize, changed: false, reason))
  }

  private func write(_ found: Found, _ excluding: Set<String>, _ graph: inout Graph) {
    guard !found.axes.isEmpty else { return }
    var names = FreshNames(graph)
    var restored: [String: String] = [:]
    var leading: [Node] = []
    for (name, axis) in found.axes {
      let codes = found.stored[name] ?? store(name, axis, &graph, &names)
      let output = names.next("\(name).restored")
      var made = codes.isTransposed ? names.next("\(name).turned") : output
      var attributes: [String: Attribute] = ["axis": .int(codes.axis)]
      if let blockSize = codes.blockSize { attributes["block_size"] = .int(blockSize) }
      leading.append(
        Node(
          "DequantizeLinear", name: names.next("\(name).restored.DequantizeLinear"),
          inputs: [codes.codes, codes.scales], outputs: [made], attributes: attributes))
      if codes.isTransposed {
        leading.append(
          Node(
            "Transpose", name: names.next("\(name).Transpose"), inputs: [made], outputs: [output],
            attributes: ["perm": .ints([1, 0])]))
        made = output
      }
      restored[name] = made
    }
    for index in graph.nodes.indices {
      guard let output = graph.nodes[index].outputs.first, !excluding.contains(output) else {
        continue
      }
      graph.nodes[index].rename(reads: restored)
    }
    graph.nodes = leading + graph.nodes
    graph.removeUnusedInitializers()
  }

  private func store(
    _ name: String, _ axis: Int, _ graph: inout Graph, _ names: inout FreshNames
  ) -> StoredCodes {
    let weights: Tensor<Float> = graph.initializers[name]!.typed()!
    let layout = WeightLayout(weights.shape, axis: axis)
    let quantized = grid.rounded(weights, layout, scales: grid.scales(weights, layout))
    let codes = names.next("\(name).quantized")
    let scales = names.next("\(name).scale")
    graph.initializers[codes] = quantized.codes
    graph.initializers[scales] = .float32(quantized.scales)
    return StoredCodes(codes: codes, scales: scales, axis: axis)
  }

  /// The nodes with weights, including those in subgraphs.
  static func found(in graph: Graph) -> [Node] {
    func found(_ graph: Graph, _ outer: @escaping (String) -> AnyTensor?) -> [Node] {
      let constant = { (name: String) in graph.initializers[name] ?? outer(name) }
      let turned = graph.turnedConstants
      return graph.nodes.flatMap { node -> [Node] in
        let inner = node.attributes.sorted { $0.key < $1.key }.flatMap { _, attribute in
          if case .graph(let inner) = attribute { found(inner, constant) } else { [] as [Node] }
        }
        return (WeightUse.find(node, turned: turned, constant: constant).isEmpty ? [] : [node])
          + inner
      }
    }
    return found(graph) { _ in nil }
  }

  /// Reports of the nodes whose weights stay unchanged, with a reason.
  static func kept(in graph: Graph, besides known: Set<String>, _ reason: String) -> [LayerReport] {
    found(in: graph).filter { !known.contains($0.reportName) }.map {
      LayerReport($0, .quantize, changed: false, reason)
    }
  }
}
