public import OrderedCollections
public import SwiftletCore

/// A model: nodes in the order they run, the tensors they use, and what goes in and out.
///
/// The one representation that is trained, compressed, run and saved. It stays close to ONNX, so
/// that any pass' result is an ordinary ONNX model. A graph is a value: passes take one and return
/// another.
public struct Graph: Sendable, Equatable {
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
  public var inputs: [ValueInfo]
  public var outputs: [ValueInfo]
  /// The version of the ONNX operator set the nodes are written in.
  public var opset: Int
  /// Free text by key, kept in the file: preprocessing, class names, provenance.
  public var metadata: OrderedDictionary<String, String>
  /// What extents are taken for that the inputs leave open, by symbol or as `x[2]`, where no arrays say: passes
  /// infer shapes and time layers with them. No part of the file. See `OpenExtents`.
  public var extents: [String: Int] = [:]
  /// Constants, inputs and outputs that the file has as floats of 16 bits, and their types by ONNX's numbers, 10 or
  /// 16. A graph computes in fp32; what is written of it has these types again.
  package var halves: [String: Int] = [:]
  /// What the file says of the model besides, as the file has it; written again with the graph.
  package var unread: [UInt8] = []
  private var storedNodes: [Node]
  private var readersAndWriters = CachedIndex()

  /// The operator set that models built here are written in.
  public static let defaultOpset = 17

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

  /// The inputs that a caller binds: older models list their weights among the inputs too.
  public var dataInputs: [ValueInfo] { inputs.filter { initializers[$0.name] == nil } }

  /// The number of weights: elements of all initializers that some node reads.
  public var parameterCount: Int {
    let used = Set(nodes.flatMap(\.reads))
    return initializers.reduce(0) { used.contains($1.key) ? $0 + $1.value.shape.count : $0 }
  }

  /// Bytes of all initializers.
  public var weightByteCount: Int { initializers.values.reduce(0) { $0 + $1.byteCount } }

  /// Which node writes each value, and which nodes read it. Built when first asked for after a change of
  /// the nodes, in one pass over them.
  package var index: GraphIndex { readersAndWriters.index(of: nodes) }

  /// Positions of the nodes that read the value, each of them once, in the order they run.
  public func consumers(of value: String) -> [Int] { index.consumers(of: value) }

  /// Names of values that the nodes read and nothing in the graph defines: an inner graph has them
  /// from the graph around it.
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

  /// A value or node name close to `base` that the graph does not use yet. For many names, see
  /// `FreshNames`.
  public func freshName(_ base: String) -> String {
    var names = FreshNames(self)
    return names.next(base)
  }

  /// Drops initializers that no node reads and no output names.
  public mutating func removeUnusedInitializers() {
    let used = Set(nodes.flatMap(\.reads)).union(outputs.map(\.name))
    initializers = initializers.filter { used.contains($0.key) }
  }

  /// Drops nodes that lead to none of the outputs.
  ///
  /// - Returns: The names of the outputs and of all that leads to them.
  /// - Precondition: Nodes stand behind what they read.
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

  /// Replaces one node by others, at its place in the order.
  public mutating func replaceNode(at index: Int, with replacement: [Node]) {
    nodes.replaceSubrange(index...index, with: replacement)
  }

  /// A float initializer by name, in whatever layout it is stored.
  ///
  /// - Throws: `badInput` if it is missing or of another type.
  public func weight(_ name: String) throws -> Tensor<Float> {
    guard let tensor = initializers[name] else {
      throw SwiftletError(.badInput, "there is no constant tensor '\(name)'")
    }
    return try locating("tensor '\(name)'") { try tensor.require() }
  }
}
