// SPDX-License-Identifier: Apache-2.0

/// One application of an operator: named values in, named values out.
public struct Node: Sendable, Equatable {
  public var name: String
  /// The ONNX operator name, such as `Conv`.
  public var opType: String
  /// The operator's domain; empty for ONNX's own.
  public var domain: String
  /// Names of the inputs; an empty name stands for an omitted optional input.
  public var inputs: [String]
  /// Names of the outputs; an empty name stands for an optional output that is not wanted.
  public var outputs: [String]
  /// The attributes that are given, by name; operators have defaults for the others.
  public var attributes: [String: Attribute]
  /// Other content of the file about the node, in its encoded form; written back with the node.
  package var unread: [UInt8] = []

  /// A node; an `Interpreter` of its graph checks it.
  public init(
    _ opType: String, name: String, domain: String = "", inputs: [String], outputs: [String],
    attributes: [String: Attribute] = [:]
  ) {
    self.name = name
    self.opType = opType
    self.domain = domain
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }

  /// Names of all values that the node reads: its inputs, and the captures of subgraphs among its
  /// attributes.
  public var reads: [String] { inputs + captures }

  /// Names that subgraphs among the attributes read from the enclosing graph, sorted.
  public var captures: [String] {
    var names: Set<String> = []
    for case .graph(let graph) in attributes.values { names.formUnion(graph.captures) }
    return names.sorted()
  }

  /// Whether the operator is one of ONNX's own, not of another domain.
  package var isStandard: Bool { domain.isEmpty || domain == "ai.onnx" }

  /// `Conv 'layer1'`, for messages.
  public var label: String { name.isEmpty ? opType : "\(opType) '\(name)'" }
}

extension Node {
  /// Renames the values that the node reads, also in subgraphs among the attributes, which must not
  /// define any of these names.
  package mutating func rename(reads names: [String: String]) {
    inputs = inputs.map { names[$0] ?? $0 }
    for (key, attribute) in attributes {
      guard case .graph(var graph) = attribute else { continue }
      let outer = names.filter { graph.captures.contains($0.key) }
      guard !outer.isEmpty else { continue }
      for index in graph.nodes.indices { graph.nodes[index].rename(reads: outer) }
      for index in graph.outputs.indices {
        graph.outputs[index].name = outer[graph.outputs[index].name] ?? graph.outputs[index].name
      }
      attributes[key] = .graph(graph)
    }
  }
}
