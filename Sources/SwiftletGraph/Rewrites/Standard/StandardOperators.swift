// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with operators written by onnxruntime's tools replaced by equivalent ONNX
  /// operators, and sequences of known length by their values.
  ///
  /// Everything that handles ONNX's operators (sessions, training, compression) then supports these
  /// too. A node is unchanged if its meaning depends on run-time values.
  ///
  /// - Parameter ranks: The ranks of values that the file specifies, by name.
  /// - Source: onnxruntime, "Contrib operators".
  package func inStandardOperators(ranks: [String: Int] = [:]) -> Graph {
    guard hasExpandableNodes else { return self }
    var graph = self
    if hasBlocksOfFewBits, let newer = try? upgraded(toOpset: 21, ranks: ranks) { graph = newer }
    var expansion = StandardExpansion(graph, KnownShapes(ranks), FreshNames(graph))
    return expansion.expanded(graph)
  }

  /// Weights in blocks of few bits are there from operator set 21 on.
  private var hasBlocksOfFewBits: Bool {
    nodes.contains { node in
      ["MatMulNBits", "GatherBlockQuantized"].contains(node.opType)
        || node.attributes.values.contains {
          if case .graph(let inner) = $0 { inner.hasBlocksOfFewBits } else { false }
        }
    }
  }

  fileprivate var hasExpandableNodes: Bool {
    nodes.contains { node in
      StandardExpansion.knows(node)
        || node.attributes.values.contains {
          if case .graph(let inner) = $0 { inner.hasExpandableNodes } else { false }
        }
    }
  }
}

/// A graph that is being rewritten in ONNX's own operators, node by node.
struct StandardExpansion {
  var result: Graph
  private var names: FreshNames
  private(set) var shapes: KnownShapes
  /// Names of constants that were made, by what they are.
  private var constants: [String: String] = [:]
  /// The values of sequences, by the sequence's name.
  var sequences: [String: [String]] = [:]
  /// The node being rewritten, and its replacement so far.
  private var owner = Node("", name: "", inputs: [], outputs: [])
  private var written: [Node] = []

  /// - Parameters:
  ///   - shapes: What is known of values around the graph, or of its own.
  ///   - names: New names, for this graph and those around it.
  fileprivate init(_ graph: Graph, _ shapes: KnownShapes, _ names: FreshNames) {
    result = graph
    result.nodes = []
    (self.shapes, self.names) = (shapes, names)
    self.shapes.enter(graph)
  }

  fileprivate mutating func expanded(_ graph: Graph) -> Graph {
    for node in graph.nodes { add(node) }
    result.removeUnusedInitializers()
    return result
  }

  /// A graph of an attribute, which sees what the graph around it has.
  mutating func inner(_ graph: Graph) -> Graph {
    guard graph.hasExpandableNodes || !sequences.isEmpty else { return graph }
    var expansion = StandardExpansion(graph, shapes, names)
    expansion.sequences = sequences
    for name in graph.inputs.map(\.name) { expansion.sequences[name] = nil }
    defer { names = expansion.names }
    return expansion.expanded(graph)
  }

  /// Whether a node may have a replacement.
  static func knows(_ node: Node) -> Bool {
    node.domain == "com.microsoft" || experimental.contains(node.opType)
      || sequenceOperators.contains(node.opType)
      || ["RotaryEmbedding", "SimplifiedLayerNormalization"].contains(node.opType)
  }

  mutating func add(_ given: Node) {
    var node = given
    for (name, attribute) in node.attributes {
      if case .graph(let inner) = attribute {
        node.attributes[name] = .graph(self.inner(inner))
      }
    }
    (owner, written) = (node, [])
    let before = result.initializers.count
    let isSequence = node.opType == "Identity" && sequences[input(node, 0)] != nil
    if Self.knows(node) || isSequence, expand(node) {
      result.nodes += written
    } else {
      // Constants of an attempt that failed.
      while result.initializers.count > before { result.initializers.removeLast() }
      constants = constants.filter { result.initializers[$0.value] != nil }
      shapes.note(node, opset: result.opset)
      result.nodes.append(node)
    }
  }

  /// Writes the replacement of a node.
  ///
  /// - Returns: `false` if it must stay unchanged.
  private mutating func expand(_ node: Node) -> Bool {
    do {
      if Self.sequenceOperators.contains(node.opType) || node.opType == "Identity" {
        return try expandSequence(node)
      }
      if Self.experimental.contains(node.opType) { return try expandExperimental(node) }
      return try expandCurve(node) || expandProduct(node) || expandNormalization(node)
        || expandAttention(node) || expandGroupedAttention(node) || expandRotary(node)
        || expandQuantized(node) || expandBlockGather(node) || expandMoved(node)
    } catch {
      // Errors in its attributes are reported when the node is built.
      return false
    }
  }

  // MARK: Writing

  /// Adds an ONNX node, and returns the name of its result: the given one, or a new one.
  @discardableResult
  mutating func emit(
    _ opType: String, _ inputs: [String], _ attributes: [String: Attribute] = [:],
    to output: String? = nil
  ) -> String {
    let output = output ?? names.next("\(owner.outputs.first ?? opType).\(opType)")
    return emit(opType, inputs, attributes, outputs: [output])[0]
  }

  @discardableResult
  mutating func emit(
    _ opType: String, _ inputs: [String], _ attributes: [String: Attribute] = [:],
    outputs: [String]
  ) -> [String] {
    var inputs = inputs
    while inputs.last == "" { inputs.removeLast() }
    // The node that writes the result has the name of the replaced node.
    let isLast = outputs[0] == owner.outputs.first && !owner.name.isEmpty
    let name = isLast ? owner.name : names.next("\(outputs[0]).node")
    let node = Node(opType, name: name, inputs: inputs, outputs: outputs, attributes: attributes)
    shapes.note(node, opset: result.opset)
    written.append(node)
    return outputs
  }

  mutating func fresh(_ suffix: String) -> String { names.next("\(owner.outputs[0]).\(suffix)") }

  mutating func constant(_ value: AnyTensor, _ base: String) -> String {
    let name = names.next(base)
    result.initializers[name] = value
    shapes.note(name, value)
    return name
  }

  /// A constant number.
  mutating func number(_ value: Float) -> String {
    shared("\(value.bitPattern)") { .float32(Tensor([], [value])) }
  }

  /// A constant list of integers.
  mutating func list(_ values: [Int]) -> String {
    shared("\(values)") { .int64(Tensor([values.count], values.map(Int64.init))) }
  }

  /// A constant integer.
  mutating func integer(_ value: Int) -> String {
    shared("i\(value)") { .int64(Tensor([], [Int64(value)])) }
  }

  private mutating func shared(_ key: String, _ value: () -> AnyTensor) -> String {
    if let known = constants[key] { return known }
    let name = constant(value(), "constant \(key)")
    constants[key] = name
    return name
  }

  /// Writes the nodes of a graph with the given values in place of its inputs, all else under new
  /// names.
  ///
  /// - Returns: The names of its outputs.
  mutating func inline(_ graph: Graph, _ inputs: [String]) -> [String] {
    var renaming = Dictionary(
      zip(graph.inputs.map(\.name), inputs), uniquingKeysWith: { first, _ in first })
    for (name, value) in graph.initializers { renaming[name] = constant(value, name) }
    for var node in graph.nodes {
      for name in node.outputs where !name.isEmpty { renaming[name] = names.next(name) }
      node.rename(reads: renaming)
      node.outputs = node.outputs.map { renaming[$0] ?? $0 }
      node.name = names.next(node.name.isEmpty ? "\(node.outputs[0]).node" : node.name)
      shapes.note(node, opset: result.opset)
      written.append(node)
    }
    return graph.outputs.map { renaming[$0.name] ?? $0.name }
  }

  // MARK: Operators that were changed between operator sets

  mutating func unsqueeze(_ x: String, _ axes: [Int], to output: String? = nil) -> String {
    emitWithAxes("Unsqueeze", x, axes, since: 13, to: output)
  }

  mutating func squeeze(_ x: String, _ axes: [Int], to output: String? = nil) -> String {
    emitWithAxes("Squeeze", x, axes, since: 13, to: output)
  }

  mutating func mean(_ x: String, axes: [Int], to output: String? = nil) -> String {
    emitWithAxes("ReduceMean", x, axes, since: 18, to: output)
  }

  mutating func sum(_ x: String, axis: Int, to output: String?) -> String {
    emitWithAxes("ReduceSum", x, [axis], ["keepdims": .int(0)], since: 13, to: output)
  }

  private mutating func emitWithAxes(
    _ opType: String, _ x: String, _ axes: [Int], _ attributes: [String: Attribute] = [:],
    since opset: Int, to output: String?
  ) -> String {
    if result.opset >= opset { return emit(opType, [x, list(axes)], attributes, to: output) }
    return emit(opType, [x], attributes.merging(["axes": .ints(axes)]) { $1 }, to: output)
  }

  /// The pieces of given lengths along an axis.
  mutating func split(_ x: String, axis: Int, _ lengths: [Int], to outputs: [String]) {
    if outputs.count == 1 {
      emit("Identity", [x], to: outputs[0])
    } else if result.opset >= 13 {
      emit("Split", [x, list(lengths)], ["axis": .int(axis)], outputs: outputs)
    } else {
      emit("Split", [x], ["axis": .int(axis), "split": .ints(lengths)], outputs: outputs)
    }
  }

  /// As many pieces of one length along an axis as there are outputs.
  mutating func split(_ x: String, axis: Int, to outputs: [String]) {
    let isCounted = result.opset >= 18
    emit(
      "Split", [x],
      ["axis": .int(axis)].merging(isCounted ? ["num_outputs": .int(outputs.count)] : [:]) { $1 },
      outputs: outputs)
  }

  // MARK: What is known

  /// Whether an optional input is present.
  func has(_ node: Node, _ index: Int) -> Bool {
    index < node.inputs.count && !node.inputs[index].isEmpty
  }

  func input(_ node: Node, _ index: Int) -> String { has(node, index) ? node.inputs[index] : "" }

  func output(_ node: Node, _ index: Int) -> String? {
    index < node.outputs.count && !node.outputs[index].isEmpty ? node.outputs[index] : nil
  }

  /// A constant input, or one that follows from constants and shapes alone.
  func constant(_ node: Node, _ index: Int) -> AnyTensor? {
    guard has(node, index) else { return nil }
    let name = node.inputs[index]
    return result.initializers[name] ?? shapes.value(name)
  }

  func rank(_ name: String) -> Int? { shapes.rank(name) }
}
