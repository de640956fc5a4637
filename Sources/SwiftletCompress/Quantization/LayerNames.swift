// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// The names of the layers of a graph: the node's name, the name of its output, and the outputs of
/// the following nodes that simplification merges into it.
struct LayerNames {
  private let graph: Graph
  private let layers: [Node]

  /// Operators that simplification merges into the layer before, such as a normalization, if their
  /// other inputs are constant.
  private static let absorbed: Set<String> = [
    "BatchNormalization", "Add", "Sub", "Mul", "Div", "Identity", "Dropout",
  ]
  /// Number of layers suggested when a name matches none.
  private static let suggestions = 3

  /// - Parameter products: Whether to list only Conv, Gemm and MatMul instead of all nodes with
  ///   weights.
  init(_ graph: Graph, products: Bool) {
    self.graph = graph
    let main = graph.nodes.filter { WeightedLayer.operators.contains($0.opType) }
    let known = Set(main.map(\.reportName))
    let others = products ? [] : WeightStorage.found(in: graph)
    layers = main + others.filter { !known.contains($0.reportName) }
  }

  /// All names of the layer with the given name; `nil` if there is none.
  func all(of name: String) -> [String]? {
    guard !name.isEmpty else { return nil }
    for layer in layers {
      let parts = [layer] + absorbedNodes(after: layer)
      guard parts.contains(where: { $0.name == name || $0.outputs.contains(name) }) else {
        continue
      }
      return (layer.name.isEmpty ? [] : [layer.name]) + parts.map { $0.outputs[0] }
    }
    return nil
  }

  private func absorbedNodes(after layer: Node) -> [Node] {
    var result: [Node] = []
    var value = layer.outputs[0]
    while let index = graph.onlyReader(of: value) {
      let reader = graph.nodes[index]
      guard Self.absorbed.contains(reader.opType),
        reader.inputs.allSatisfy({ $0 == value || $0.isEmpty || graph.initializers[$0] != nil })
      else { return result }
      result.append(reader)
      value = reader.outputs[0]
    }
    return result
  }

  /// Whether the graph has a node, or an output of a node, with the given name.
  func hasNode(_ name: String) -> Bool {
    graph.nodes.contains { $0.name == name || $0.outputs.contains(name) }
  }

  /// The layers closest to a node in the order of the model; if there is no such node, those with
  /// the most similar names.
  func nearest(to name: String) -> String {
    let position = graph.nodes.firstIndex { $0.name == name || $0.outputs.contains(name) }
    func distance(_ layer: Node) -> Int {
      guard let position else { return Nearest.edits(layer.reportName, name) }
      return graph.producer(of: layer.outputs[0]).map { abs($0 - position) } ?? graph.nodes.count
    }
    let ranked = layers.map { ($0.reportName, distance($0)) }.enumerated()
      .sorted { ($0.element.1, $0.offset) < ($1.element.1, $1.offset) }
    return ranked.prefix(Self.suggestions).map { "'\($0.element.0)'" }.joined(separator: ", ")
  }
}

extension QuantizationSettings {
  /// Adds all other names of each layer that is listed: simplification may rename a layer, for
  /// example when a normalization is merged into it.
  ///
  /// - Throws: `badInput` for a name that matches no layer in any of the graphs.
  package mutating func resolve(for graphs: [Graph]) throws {
    self = try naming(layersOf: graphs) { throw unknown($0, $1) }
  }

  /// The settings with all names of the layers they list.
  ///
  /// - Parameter missing: Called for each name that matches no layer in any of the graphs.
  func naming(
    layersOf graphs: [Graph], orElse missing: (_ name: String, _ known: [LayerNames]) throws -> Void
  ) rethrows -> QuantizationSettings {
    var result = self
    for (list, products) in Self.lists where !self[keyPath: list].isEmpty {
      let known = graphs.map { LayerNames($0, products: products) }
      for name in self[keyPath: list] {
        let found = known.compactMap { $0.all(of: name) }
        if found.isEmpty { try missing(name, known) }
        for other in found.joined() where !result[keyPath: list].contains(other) {
          result[keyPath: list].append(other)
        }
      }
    }
    return result
  }

  private func unknown(_ name: String, _ known: [LayerNames]) -> SwiftletError {
    let owner = known.first { $0.hasNode(name) }
    let nearest = (owner ?? known[0]).nearest(to: name)
    return SwiftletError(
      .badInput,
      owner == nil
        ? "the model has no layer '\(name)'" : "'\(name)' is not a layer that can be quantized",
      fix: nearest.isEmpty
        ? "`swiftlet inspect` lists the model's nodes"
        : "the nearest layers are \(nearest); `swiftlet inspect` lists all nodes")
  }

  /// Settings that list layers, and whether these must be Conv, Gemm or MatMul.
  private static var lists: [(WritableKeyPath<QuantizationSettings, [String]>, Bool)] {
    [(\.keep, false), (\.int4, true), (\.bf16, true)]
  }
}
