// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Determines which values of a graph, which computes in fp32, are 16-bit floats in a file.
///
/// This requires that only a `Cast` reads them, since other operators require inputs of one type.
/// Inputs, outputs and constants that were 16-bit in the original file (`Graph.halves`) get an
/// additional `Cast`. Others are values that a `Cast` rounds, and constants with bf16 values that
/// are cast to fp32, for which the `Cast` is redundant.
struct HalfValues {
  /// The graph with all casts that its inputs, outputs and constants need.
  private(set) var graph: Graph
  /// Types of inputs, outputs and constants that are written as 16-bit floats, by ONNX number.
  private(set) var types: [String: Int] = [:]
  private let fixed: Set<String>

  /// The first operator set whose `Cast` supports bf16, and the first with numbered types.
  fileprivate static let (opset, oldestOpset) = (13, 6)
  /// Smaller constants are not worth a node.
  private static let fewestElements = 64

  init(_ given: Graph) {
    var edges = Edges(given)
    if !given.halves.isEmpty && given.opset >= Self.oldestOpset { edges.add() }
    (graph, types) = (edges.graph, edges.types)
    fixed = Set(graph.outputs.map(\.name)).union(graph.inputs.map(\.name))
  }

  /// Whether a `Cast` writes the 16-bit type that it rounds to.
  func keepsRounding(_ node: Node) -> Bool {
    guard node.opType == "Cast", let output = node.outputs.first else { return false }
    if let type = types[output] { return node.attributes["to"] == .int(type) }
    return isCast(output) && (graph.opset >= Self.opset || node.attributes["to"] != .int(16))
  }

  /// The bits of a constant's elements and their type, if they are stored as 16-bit floats.
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
    !fixed.contains(name) && !graph.consumers(of: name).isEmpty
      && graph.isReadByCasts(name, to: type)
  }

  /// A graph whose 16-bit inputs, outputs and constants are read and written through a `Cast`.
  private struct Edges {
    private(set) var graph: Graph
    private(set) var types: [String: Int] = [:]
    private var names: FreshNames
    /// The names that nodes read and write instead of a value's.
    private var renaming: [String: String] = [:]
    private var leading: [Node] = []
    /// Keyed by the name of their input.
    private var following: [String: Node] = [:]

    init(_ graph: Graph) {
      self.graph = graph
      names = FreshNames(graph)
    }

    /// The type of a value in the file, if its `Cast` can be changed to it.
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

    /// The type of a constant, if its elements are still bf16 or can still be float16: changed
    /// elements are rounded as the model rounds all others.
    private func storedType(_ name: String, _ value: AnyTensor) -> Int? {
      guard let type = type(name), case .float32(let tensor) = value,
        tensor.count >= HalfValues.fewestElements
          || graph.isReadByCasts(name)
      else { return nil }
      if type == 16 { return tensor.elements.allSatisfy(\.isBFloat) ? type : nil }
      let elements = tensor.elements
      let largest = elements.reduce(0) { max($0, abs($1)) }
      // Within the rounding error of the largest: whole tensors of tiny numbers would be lost.
      let isKept = elements.allSatisfy {
        abs(Float(Float16($0)) - $0) <= largest * 0x1p-11 || $0.isNaN
      }
      return isKept ? type : nil
    }

    /// A node that widens a value for all of its readers; `nil` if each of them is a `Cast`.
    private mutating func widened(_ name: String) -> Node? {
      guard !graph.isReadByCasts(name) else { return nil }
      let wide = names.next("\(name).fp32")
      renaming[name] = wide
      return Node(
        "Cast", name: names.next("\(name).Cast"), inputs: [name], outputs: [wide],
        attributes: ["to": .int(1)])
    }

    private mutating func addOutput(_ name: String) {
      guard let type = type(name), let index = graph.producer(of: name) else { return }
      types[name] = type
      if graph.nodes[index].isCast(to: type), graph.isReadByCasts(name) { return }
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

extension Graph {
  /// Whether each node that reads the value is a `Cast`, to the type with the given ONNX number.
  fileprivate func isReadByCasts(_ value: String, to type: Int? = nil) -> Bool {
    consumers(of: value).allSatisfy { nodes[$0].isCast(to: type) }
  }
}

extension Node {
  /// Whether this is a `Cast` to the type with the given ONNX number.
  fileprivate func isCast(to type: Int?) -> Bool {
    opType == "Cast" && (type.map { attributes["to"] == .int($0) } ?? true)
  }
}
