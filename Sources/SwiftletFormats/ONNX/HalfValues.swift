import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Which values of a graph, where all floats are fp32, are floats of 16 bits in a file.
///
/// That can be only where nothing but a `Cast` reads them, since other operators want inputs of one type. Inputs,
/// outputs and constants that a file had as such (`Graph.halves`) get a `Cast` of their own. Without, there are
/// values that a `Cast` rounds, and constants that hold bf16 numbers and are cast to fp32, which says nothing else.
struct HalfValues {
  /// The graph with each `Cast` that its inputs, outputs and constants need.
  private(set) var graph: Graph
  /// Types of inputs, outputs and constants that are written as 16-bit floats, by ONNX's numbers.
  private(set) var types: [String: Int] = [:]
  private let readers: [String: [Node]]
  private let fixed: Set<String>

  /// The first operator set whose `Cast` knows bf16, and the first whose types are numbers.
  fileprivate static let (opset, oldestOpset) = (13, 6)
  /// Smaller constants are not worth a node.
  private static let fewestElements = 64

  init(_ given: Graph) {
    var edges = Edges(given)
    if !given.halves.isEmpty && given.opset >= Self.oldestOpset { edges.add() }
    (graph, types) = (edges.graph, edges.types)
    readers = Self.readers(of: graph)
    fixed = Set(graph.outputs.map(\.name)).union(graph.inputs.map(\.name))
  }

  private static func readers(of graph: Graph) -> [String: [Node]] {
    var readers: [String: [Node]] = [:]
    for node in graph.nodes {
      for name in Set(node.reads) { readers[name, default: []].append(node) }
    }
    return readers
  }

  /// Whether a `Cast` writes the 16 bits that it rounds to.
  func keepsRounding(_ node: Node) -> Bool {
    guard node.opType == "Cast", let output = node.outputs.first else { return false }
    if let type = types[output] { return node.attributes["to"] == .int(type) }
    return isCast(output) && (graph.opset >= Self.opset || node.attributes["to"] != .int(16))
  }

  /// The bits of a constant's elements, and their type, if they are stored as 16-bit floats.
  func stored(
    _ name: String, _ value: AnyTensor
  ) -> (bits: AnyTensor, type: ONNX_TensorProto.DataType)? {
    guard case .float32(let tensor) = value else { return nil }
    switch types[name] {
    case 10?:
      return (.uint16(tensor.map { Float16($0).bitPattern }), .float16)
    case .some: break
    case nil:
      guard graph.opset >= Self.opset, isCast(name, to: 1),
        tensor.elements.allSatisfy(\.isBFloat)
      else { return nil }
    }
    return (.uint16(tensor.map { UInt16($0.bitPattern >> 16) }), .bfloat16)
  }

  private func isCast(_ name: String, to type: Int? = nil) -> Bool {
    guard !fixed.contains(name), let readers = readers[name] else { return false }
    return readers.allSatisfy { $0.isCast(to: type) }
  }

  /// A graph whose inputs, outputs and constants of 16 bits are read and written by a `Cast`.
  private struct Edges {
    private(set) var graph: Graph
    private(set) var types: [String: Int] = [:]
    private let readers: [String: [Node]]
    private var names: FreshNames
    /// What nodes read and write in place of a value.
    private var renaming: [String: String] = [:]
    private var leading: [Node] = []
    /// By the name of what they read.
    private var following: [String: Node] = [:]

    init(_ graph: Graph) {
      self.graph = graph
      readers = HalfValues.readers(of: graph)
      names = FreshNames(graph)
    }

    /// The type that a value has in the file, if its `Cast` can be told of it.
    private func type(_ name: String) -> Int? {
      graph.halves[name].flatMap { $0 == 16 && graph.opset < HalfValues.opset ? nil : $0 }
    }

    mutating func add() {
      let outputs = Set(graph.outputs.map(\.name))
      for input in graph.inputs where !outputs.contains(input.name) {
        guard let type = type(input.name), input.dtype == .float32 else { continue }
        types[input.name] = type
        if let cast = widened(input.name) { leading.append(cast) }
      }
      for (name, value) in graph.initializers where !outputs.contains(name) {
        guard let type = storedType(name, value) else { continue }
        types[name] = type
        if let cast = widened(name) { leading.append(cast) }
      }
      for node in graph.nodes where node.opType == "Constant" && node.outputs.count == 1 {
        guard case .tensor(let value)? = node.attributes["value"],
          !outputs.contains(node.outputs[0]), let type = storedType(node.outputs[0], value)
        else { continue }
        types[node.outputs[0]] = type
        following[node.outputs[0]] = widened(node.outputs[0])
      }
      for output in graph.outputs where output.dtype == .float32 { addOutput(output.name) }
      write()
    }

    /// The type of a constant, if its elements still are bf16, or still can be float16: what changes have made of them
    /// is rounded as the model rounds all else.
    private func storedType(_ name: String, _ value: AnyTensor) -> Int? {
      guard let type = type(name), case .float32(let tensor) = value,
        tensor.count >= HalfValues.fewestElements
          || (readers[name] ?? []).allSatisfy({ $0.isCast(to: nil) })
      else { return nil }
      if type == 16 { return tensor.elements.allSatisfy(\.isBFloat) ? type : nil }
      let elements = tensor.elements
      let largest = elements.reduce(0) { max($0, abs($1)) }
      // Within the rounding of the largest: whole tensors of tiny numbers would be lost.
      let isKept = elements.allSatisfy {
        abs(Float(Float16($0)) - $0) <= largest * 0x1p-11 || $0.isNaN
      }
      return isKept ? type : nil
    }

    /// A node that widens a value, for all that read it; `nil` where each of them is a `Cast`.
    private mutating func widened(_ name: String) -> Node? {
      guard (readers[name] ?? []).contains(where: { !$0.isCast(to: nil) }) else { return nil }
      let wide = names.next("\(name).fp32")
      renaming[name] = wide
      return Node(
        "Cast", name: names.next("\(name).Cast"), inputs: [name], outputs: [wide],
        attributes: ["to": .int(1)])
    }

    private mutating func addOutput(_ name: String) {
      guard let type = type(name), let index = graph.producer(of: name) else { return }
      types[name] = type
      let others = readers[name] ?? []
      if graph.nodes[index].isCast(to: type), others.allSatisfy({ $0.isCast(to: nil) }) { return }
      let wide = names.next("\(name).fp32")
      renaming[name] = wide
      following[wide] = Node(
        "Cast", name: names.next("\(name).Cast"), inputs: [wide], outputs: [name],
        attributes: ["to": .int(type)])
    }

    private mutating func write() {
      let constants = Set(types.keys).subtracting(graph.outputs.map(\.name))
      var nodes = leading
      for var node in graph.nodes {
        node.rename(reads: renaming)
        node.outputs = node.outputs.map { constants.contains($0) ? $0 : renaming[$0] ?? $0 }
        nodes.append(node)
        nodes += node.outputs.compactMap { following[$0] }
      }
      graph.nodes = nodes
    }
  }
}

extension Node {
  /// Whether this is a `Cast`, to the type that ONNX gives the number.
  fileprivate func isCast(to type: Int?) -> Bool {
    opType == "Cast" && (type.map { attributes["to"] == .int($0) } ?? true)
  }
}
