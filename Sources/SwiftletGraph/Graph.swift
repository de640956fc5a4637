// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore

/// A model: nodes in execution order, the tensors they use, inputs and outputs.
///
/// The single representation that is trained, compressed, run and saved. It stays close to ONNX, so
/// the result of every pass is an ordinary ONNX model. A graph is a value: passes take one and
/// return another.
public struct Graph: Sendable, Equatable {
  /// The name of the graph, which ONNX requires; any text.
  public var name: String
  /// In execution order: every node comes after those whose outputs it reads.
  public var nodes: [Node] {
    get { storedNodes }
    // A `didSet` would copy the nodes for each that is added.
    _modify {
      defer { readersAndWriters.forget() }
      yield &storedNodes
    }
  }
  /// Constant tensors (weights) by value name, in file order.
  public var initializers: OrderedDictionary<String, AnyTensor>
  /// What the graph takes. Older models list their initializers here too; ``dataInputs`` does not.
  public var inputs: [ValueInfo]
  /// What the graph gives, in the model's order.
  public var outputs: [ValueInfo]
  /// The ONNX operator set version of the nodes.
  public var opset: Int
  /// Free text by key, stored in the file: preprocessing, class names, provenance.
  public var metadata: OrderedDictionary<String, String>
  /// Values for extents that the inputs leave open, by symbol or as `x[2]`, used when no arrays
  /// determine them: passes infer shapes and time layers with them. Not part of the file. See
  /// `OpenExtents`.
  public var extents: [String: Int] = [:]
  /// Constants, inputs and outputs with 16-bit float types in the file, and these types by their
  /// ONNX numbers, 10 or 16. A graph computes in fp32; writing it restores these types.
  package var halves: [String: Int] = [:]
  /// Other content of the file about the model, in its encoded form; written back with the graph.
  package var unread: [UInt8] = []
  private var storedNodes: [Node]
  private var readersAndWriters = CachedIndex()

  /// The operator set of models built here.
  public static let defaultOpset = 17

  /// A graph of these parts; an `Interpreter` checks them.
  public init(
    name: String, nodes: [Node] = [], initializers: OrderedDictionary<String, AnyTensor> = [:],
    inputs: [ValueInfo] = [], outputs: [ValueInfo] = [], opset: Int = Graph.defaultOpset,
    metadata: OrderedDictionary<String, String> = [:]
  ) {
    self.name = name
    storedNodes = nodes
    self.initializers = initializers
    self.inputs = inputs
    self.outputs = outputs
    self.opset = opset
    self.metadata = metadata
  }

  /// The inputs that a caller binds: older models also list their weights among the inputs.
  public var dataInputs: [ValueInfo] { inputs.filter { initializers[$0.name] == nil } }

  /// The number of weights: elements of all initializers that nodes read.
  public var parameterCount: Int {
    let used = Set(nodes.flatMap(\.reads))
    return initializers.reduce(0) { used.contains($1.key) ? $0 + $1.value.shape.count : $0 }
  }

  /// The size of all initializers in bytes.
  public var weightByteCount: Int { initializers.values.reduce(0) { $0 + $1.byteCount } }

  /// Which node writes each value, and which nodes read it. Built when first asked for after a
  /// change of the nodes, in one pass over them.
  package var index: GraphIndex { readersAndWriters.index(of: nodes) }

  /// Positions of the nodes that read the value, each of them once, in the order they run.
  public func consumers(of value: String) -> [Int] { index.consumers(of: value) }

  /// The position of the node that alone reads the value; `nil` if there are several or none, or
  /// if the value is an output.
  package func onlyReader(of value: String) -> Int? {
    let readers = index.consumers(of: value)
    return readers.count == 1 && !isOutput(value) ? readers[0] : nil
  }

  /// Whether the graph gives the value to its caller.
  package func isOutput(_ value: String) -> Bool { outputs.contains { $0.name == value } }

  /// Names of values that the nodes read but the graph does not define: a subgraph gets them from
  /// the enclosing graph.
  package var captures: Set<String> {
    var known = Set(initializers.keys).union(inputs.map(\.name))
    var result: Set<String> = []
    for node in nodes {
      result.formUnion(node.reads.filter { !$0.isEmpty && !known.contains($0) })
      known.formUnion(node.outputs)
    }
    return result.union(outputs.map(\.name).filter { !$0.isEmpty && !known.contains($0) })
  }

  /// The position of the node that writes the value; `nil` for inputs and initializers.
  public func producer(of value: String) -> Int? { index.producers[value] }

  /// An unused value or node name close to `base`. For many names, use `FreshNames`.
  public func freshName(_ base: String) -> String {
    var names = FreshNames(self)
    return names.next(base)
  }

  /// Removes initializers that no node reads and no output names.
  public mutating func removeUnusedInitializers() {
    let used = Set(nodes.flatMap(\.reads)).union(outputs.map(\.name))
    initializers = initializers.filter { used.contains($0.key) }
  }

  /// Removes nodes that do not lead to any output.
  ///
  /// - Returns: The names of the outputs and of all values that lead to them.
  /// - Precondition: Nodes come after their inputs.
  @discardableResult
  package mutating func removeUnusedNodes() -> Set<String> {
    var read = Set(outputs.map(\.name))
    var kept: [Node] = []
    for node in nodes.reversed() where !read.isDisjoint(with: node.outputs) {
      read.formUnion(node.reads)
      kept.append(node)
    }
    nodes = kept.reversed()
    return read
  }

  /// Replaces one node by others at its position in the order.
  public mutating func replaceNode(at index: Int, with replacement: [Node]) {
    nodes.replaceSubrange(index...index, with: replacement)
  }

  /// A float initializer by name, in any storage layout.
  ///
  /// - Throws: `badInput` if it is missing or of another type.
  public func weight(_ name: String) throws -> Tensor<Float> {
    guard let tensor = initializers[name] else {
      throw SwiftletError(.badInput, "there is no constant tensor '\(name)'")
    }
    return try locating("tensor '\(name)'") { try tensor.require() }
  }
}
