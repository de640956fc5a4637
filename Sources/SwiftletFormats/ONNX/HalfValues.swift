import SwiftletCore
import SwiftletGraph

/// Which values of a graph, where all floats are fp32, are floats of 16 bits in a file.
///
/// That can be only where nothing but a `Cast` reads them, since other operators want inputs of one type: values
/// that a `Cast` rounds, and constants that hold bf16 numbers and are cast to fp32, which says nothing else.
struct HalfValues {
  private let graph: Graph
  private let readers: [String: [Node]]
  private let fixed: Set<String>

  /// The first operator set whose `Cast` knows bf16.
  private static let opset = 13

  init(_ graph: Graph) {
    self.graph = graph
    var readers: [String: [Node]] = [:]
    for node in graph.nodes {
      for name in Set(node.reads) { readers[name, default: []].append(node) }
    }
    self.readers = readers
    fixed = Set(graph.outputs.map(\.name)).union(graph.inputs.map(\.name))
  }

  /// Whether a `Cast` writes the 16 bits that it rounds to.
  func keepsRounding(_ node: Node) -> Bool {
    node.opType == "Cast" && node.outputs.first.map { isCast($0) } == true
      && (graph.opset >= Self.opset || node.attributes["to"] != .int(16))
  }

  /// The upper halves of a constant's elements, if they are stored alone.
  func stored(_ name: String, _ value: AnyTensor) -> AnyTensor? {
    guard graph.opset >= Self.opset, case .float32(let tensor) = value,
      isCast(name, to: 1), tensor.elements.allSatisfy(\.isBFloat)
    else { return nil }
    return .uint16(tensor.map { UInt16($0.bitPattern >> 16) })
  }

  private func isCast(_ name: String, to type: Int? = nil) -> Bool {
    guard !fixed.contains(name), let readers = readers[name] else { return false }
    return readers.allSatisfy { node in
      node.opType == "Cast" && (type.map { node.attributes["to"] == .int($0) } ?? true)
    }
  }
}
