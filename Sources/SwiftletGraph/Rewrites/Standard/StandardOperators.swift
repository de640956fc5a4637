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
    // Blocked weights of a few bits exist from operator set 21 on.
    if nodes.contains(where: { $0.opType == "MatMulNBits" }),
      let newer = try? upgraded(toOpset: 21, ranks: ranks)
    {
      graph = newer
    }
    var expansion = StandardExpansion(graph, ranks)
    for node in graph.nodes { expansion.add(node) }
    expansion.result.removeUnusedInitializers()
    return expansion.result
  }

  private var hasExpandableNodes: Bool {
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
  private var ranks: [String: Int]
  /// Names of created constants, by their content.
  private var constants: [String: String] = [:]
  /// The values of sequences, by the sequence's name.
  var sequences: [String: [String]] = [:]
  /// The node being rewritten, and its replacement so far.
  private var owner = Node("", name: "", inputs: [], outputs: [])
  private var written: [Node] = []

  init(_ graph: Graph, _ ranks: [String: Int]) {
    result = graph
    result.nodes = []
    names = FreshNames(graph)
    for name in graph.captures { _ = names.next(name) }
    self.ranks = ranks
    for input in graph.inputs where input.isTyped && !input.dimensions.isEmpty {
      self.ranks[input.name] = input.dimensions.count
    }
    for (name, value) in graph.initializers { self.ranks[name] = value.shape.rank }
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
        node.attributes[name] = .graph(inner.inStandardOperators(ranks: ranks))
      }
    }
    (owner, written) = (node, [])
    let before = result.initializers.count
    if Self.knows(node), expand(node) {
      result.nodes += written
    } else {
      // Constants of an attempt that failed.
      while result.initializers.count > before { result.initializers.removeLast() }
      constants = constants.filter { result.initializers[$0.value] != nil }
      note(node)
      result.nodes.append(node)
    }
  }

  /// Writes the replacement of a node.
  ///
  /// - Returns: `false` if it must stay unchanged.
  private mutating func expand(_ node: Node) -> Bool {
    do {
      if Self.sequenceOperators.contains(node.opType) { return try expandSequence(node) }
      if Self.experimental.contains(node.opType) { return try expandExperimental(node) }
      return try expandCurve(node) || expandProduct(node) || expandNormalization(node)
        || expandAttention(node) || expandGroupedAttention(node) || expandRotary(node)
        || expandQuantized(node) || expandMoved(node)
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
    note(node)
    written.append(node)
    return outputs
  }

  mutating func fresh(_ suffix: String) -> String { names.next("\(owner.outputs[0]).\(suffix)") }

  mutating func constant(_ value: AnyTensor, _ base: String) -> String {
    let name = names.next(base)
    result.initializers[name] = value
    ranks[name] = value.shape.rank
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

  // MARK: Operators that were changed between operator sets

  mutating func unsqueeze(_ x: String, _ axes: [Int], to output: String? = nil) -> String {
    emitWithAxes("Unsqueeze", x, axes, since: 13, to: output)
  }

  mutating func squeeze(_ x: String, _ axes: [Int], to output: String? = nil) -> String {
    emitWithAxes("Squeeze", x, axes, since: 13, to: output)
  }

  mutating func mean(_ x: String, axis: Int) -> String {
    emitWithAxes("ReduceMean", x, [axis], since: 18, to: nil)
  }

  mutating func sum(_ x: String, axis: Int, to output: String?) -> String {
    if result.opset >= 13 {
      return emit("ReduceSum", [x, list([axis])], ["keepdims": .int(0)], to: output)
    }
    return emit("ReduceSum", [x], ["axes": .ints([axis]), "keepdims": .int(0)], to: output)
  }

  private mutating func emitWithAxes(
    _ opType: String, _ x: String, _ axes: [Int], since opset: Int, to output: String?
  ) -> String {
    if result.opset >= opset { return emit(opType, [x, list(axes)], to: output) }
    return emit(opType, [x], ["axes": .ints(axes)], to: output)
  }

  /// The pieces of given lengths along an axis.
  mutating func split(_ x: String, axis: Int, _ lengths: [Int], to outputs: [String]) {
    if result.opset >= 13 {
      emit("Split", [x, list(lengths)], ["axis": .int(axis)], outputs: outputs)
    } else {
      emit("Split", [x], ["axis": .int(axis), "split": .ints(lengths)], outputs: outputs)
    }
  }

  // MARK: Known properties

  /// Whether an optional input is present.
  func has(_ node: Node, _ index: Int) -> Bool {
    index < node.inputs.count && !node.inputs[index].isEmpty
  }

  func input(_ node: Node, _ index: Int) -> String { has(node, index) ? node.inputs[index] : "" }

  func output(_ node: Node, _ index: Int) -> String? {
    index < node.outputs.count && !node.outputs[index].isEmpty ? node.outputs[index] : nil
  }

  /// A constant input.
  func constant(_ node: Node, _ index: Int) -> AnyTensor? {
    has(node, index) ? result.initializers[node.inputs[index]] : nil
  }

  func rank(_ name: String) -> Int? { ranks[name] }

  private static let rankKeepers: Set<String> = [
    "Cast", "Clip", "Conv", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp", "Gelu", "Identity",
    "LayerNormalization", "LeakyRelu", "Log", "Neg", "Pad", "QuantizeLinear", "Relu", "Sigmoid",
    "Slice", "Softmax", "Sqrt", "Tanh", "Transpose",
  ]
  private static let rankJoiners: Set<String> = [
    "Add", "Div", "MatMul", "Mul", "Pow", "Sub", "Where",
  ]

  /// Records the rank of a node's outputs if its operator determines it.
  private mutating func note(_ node: Node) {
    guard let output = node.outputs.first, ranks[output] == nil else { return }
    let own = node.inputs.map { ranks[$0] }
    var rank: Int?
    switch node.opType {
    case let name where Self.rankKeepers.contains(name): rank = own.first ?? nil
    case let name where Self.rankJoiners.contains(name):
      rank = own.contains(nil) ? nil : own.compactMap { $0 }.max()
    case "Gemm", "Flatten": rank = 2
    case "Gather":
      if own.count == 2, let data = own[0], let indices = own[1] { rank = data + indices - 1 }
    case "Reshape" where node.inputs.count > 1:
      rank = result.initializers[node.inputs[1]]?.shape.count
    default: break
    }
    ranks[output] = rank
  }
}
