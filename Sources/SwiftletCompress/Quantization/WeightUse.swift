// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Constant weights read by a node that can be stored as integers, whatever the node computes:
/// recurrent layers, embedding tables, transposed convolutions, and layers that do not run in
/// integers.
struct WeightUse {
  let node: Node
  /// The name of the constant.
  let weights: String
  /// The axis of the weights with one scale per index.
  let axis: Int

  /// Minimum number of elements of a table. Smaller ones are not worth it, and may be tables of
  /// positions.
  private static let fewestElements = 1024

  /// Finds the weights that a node reads.
  ///
  /// - Parameter turned: See ``Graph/turnedConstants``.
  ///
  /// - Returns: The weights that the node itself reads; empty for a node without weights.
  static func find(
    _ node: Node, turned: [String: String] = [:], constant: (String) -> AnyTensor?
  ) -> [WeightUse] {
    /// The constant that an input is, or is turned from, if it can be weights.
    func weights(_ name: String) -> AnyTensor? {
      guard let tensor = constant(turned[name] ?? name), case .float32 = tensor,
        tensor.shape.rank > 1, tensor.shape.count > 0
      else { return nil }
      return tensor
    }
    func use(_ input: Int, axis: (Shape) -> Int) -> WeightUse? {
      guard node.inputs.indices.contains(input), let tensor = weights(node.inputs[input]) else {
        return nil
      }
      let name = node.inputs[input]
      let source = turned[name] ?? name
      let own = axis(tensor.shape)
      return WeightUse(node: node, weights: source, axis: source == name ? own : 1 - own)
    }
    guard node.isStandard else { return [] }
    switch node.opType {
    case "LSTM", "GRU", "RNN": return [use(1) { _ in 1 }, use(2) { _ in 1 }].compactMap { $0 }
    case "Gather":
      let table = use(0) { _ in 0 }
      return [table].compactMap { $0 }.filter {
        constant($0.weights)!.shape.count >= fewestElements && constant(node.inputs[1]) == nil
      }
    case "Einsum":
      let uses = node.inputs.indices.compactMap { input in
        use(input) { Self.einsumAxis(node, input, rank: $0.rank) }
      }
      return uses.count < node.inputs.count ? uses : []
    default:
      guard let layer = try? LinearLayer(node, isConstant: { weights($0) != nil }),
        // A product of two constants is not a layer.
        layer.isConvolution || weights(layer.data) == nil
      else { return [] }
      return [use(layer.weightInput) { layer.outputAxis(rank: $0.rank) }].compactMap { $0 }
    }
  }

  /// The last axis of an operand that is also in the result, so that it is not summed over.
  private static func einsumAxis(_ node: Node, _ input: Int, rank: Int) -> Int {
    guard case .string(let equation)? = node.attributes["equation"] else { return rank - 1 }
    let sides = equation.filter { $0 != " " }.split(
      separator: ">", omittingEmptySubsequences: false)
    let terms = sides[0].filter { $0 != "-" }.split(
      separator: ",", omittingEmptySubsequences: false)
    guard terms.indices.contains(input) else { return rank - 1 }
    let letters = sides[0].filter(\.isLetter)
    let result =
      sides.count > 1
      ? Set(sides[1]) : Set(letters.filter { letter in letters.count { $0 == letter } == 1 })
    // Counted from the end, as an ellipsis stands for any number of axes.
    let last = terms[input].reversed().enumerated().first { $1.isLetter && result.contains($1) }
    return last.map { max(0, rank - 1 - $0.offset) } ?? rank - 1
  }

  /// Constants that must stay floats, with reasons: graph outputs, and weights shared with a layer
  /// that the settings keep.
  static func pinned(in graph: Graph, _ keeping: Set<String>) -> [String: String] {
    var result = Dictionary(
      graph.outputs.map { ($0.name, "its weights are an output of the model") }
    ) { first, _ in first }
    guard !keeping.isEmpty else { return result }
    let turned = graph.turnedConstants
    func visit(_ nodes: [Node], hiding own: Set<String>) {
      for node in nodes {
        if !keeping.isDisjoint(with: [node.name, node.outputs.first ?? ""]) {
          let uses = find(
            node, turned: turned, constant: { own.contains($0) ? nil : graph.initializers[$0] })
          for use in uses {
            result[use.weights] =
              "it shares its weights with '\(node.reportName)', which the settings keep as floats"
          }
        }
        for case .graph(let inner) in node.attributes.values {
          visit(inner.nodes, hiding: own.union(inner.initializers.keys))
        }
      }
    }
    visit(graph.nodes, hiding: [])
    return result
  }
}

extension Graph {
  /// Constant matrices that a `Transpose` node transposes, by the name of its output.
  var turnedConstants: [String: String] {
    var result: [String: String] = [:]
    for node in nodes where node.opType == "Transpose" && node.domain.isEmpty {
      guard let tensor = initializers[node.inputs[0]], case .float32 = tensor,
        tensor.shape.rank == 2, [nil, .ints([1, 0])].contains(node.attributes["perm"])
      else { continue }
      result[node.outputs[0]] = node.inputs[0]
    }
    return result
  }
}
