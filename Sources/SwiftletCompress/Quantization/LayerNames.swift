// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// What the layers of a graph are called: by their own name, by that of their result, and by those
/// of the nodes after them that simplification makes a part of them.
struct LayerNames {
  private let graph: Graph
  private let layers: [Node]

  /// Nodes after a layer that it takes in, such as a normalization; what they read besides is
  /// constant.
  private static let absorbed: Set<String> = [
    "BatchNormalization", "Add", "Sub", "Mul", "Div", "Identity", "Dropout",
  ]
  /// So many layers are named to someone who has named none.
  private static let suggestions = 3

  /// `products`: Whether layers are Conv, Gemm and MatMul alone, and not all nodes with weights.
  init(_ graph: Graph, products: Bool) {
    self.graph = graph
    let main = graph.nodes.filter { WeightedLayer.operators.contains($0.opType) }
    let known = Set(main.map(\.reportName))
    let others = products ? [] : WeightStorage.found(in: graph)
    layers = main + others.filter { !known.contains($0.reportName) }
  }

  /// All names of the layer that is called so; `nil` if there is none.
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

  func hasNode(_ name: String) -> Bool {
    graph.nodes.contains { $0.name == name || $0.outputs.contains(name) }
  }

  /// The layers next to a node in the order of the model, or with names like one that is not there.
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
  /// Adds the other names of the layers that are named: a layer is called otherwise once a
  /// normalization is a part of it.
  ///
  /// - Throws: `badInput` for a name that is none of a layer in any of the graphs.
  package mutating func resolve(for graphs: [Graph]) throws {
    self = try naming(layersOf: graphs) { throw unknown($0, $1) }
  }

  /// The settings with all names of the layers that they name.
  ///
  /// - Parameter missing: Called for a name that is in none of the graphs.
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
      at: "quantize",
      mend: nearest.isEmpty
        ? "`swiftlet inspect` lists the model's nodes"
        : "the nearest layers are \(nearest); `swiftlet inspect` lists all nodes")
  }

  /// Settings that name layers, and whether only Conv, Gemm and MatMul can be meant.
  private static var lists: [(WritableKeyPath<QuantizationSettings, [String]>, Bool)] {
    [(\.keep, false), (\.int4, true), (\.bf16, true)]
  }
}
