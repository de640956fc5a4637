import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// A copy of a graph with fewer channels: of every layer but the last, those outputs stay whose
/// weights are largest (L2 norm), and the layers behind read only these.
///
/// Starts a student close to its teacher. Works on chains; where branches meet, both would have to
/// keep the same channels, and the graph is refused.
///
/// - Source: Li et al. 2017, arXiv:1608.08710, for choosing filters by the norm of their weights.
struct NarrowStudent {
  private var graph: Graph
  private let width: Double
  private let infos: [String: TensorInfo]
  /// Channels (axis 1) that remain of each value; absent where all do.
  private var kept: [String: [Int]] = [:]

  /// - Throws: `unsupported` naming the node that is in the way.
  static func make(from teacher: Graph, width: Double) throws -> Graph {
    var student = try NarrowStudent(teacher, width)
    for index in teacher.nodes.indices { try student.narrow(index) }
    return student.graph
  }

  private init(_ teacher: Graph, _ width: Double) throws {
    graph = teacher
    self.width = width
    let plan = try Plan(teacher)
    infos = try plan.infer(plan.inputShapes(batch: 1))
  }

  private mutating func narrow(_ index: Int) throws {
    let node = graph.nodes[index]
    switch node.opType {
    case "Conv", "Gemm": try narrowLayer(node)
    case "BatchNormalization":
      for name in node.inputs[1...] { try narrowConstant(name, axis: 0, to: kept[node.inputs[0]]) }
      kept[node.outputs[0]] = kept[node.inputs[0]]
    case "Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Dropout", "Softmax":
      kept[node.outputs[0]] = kept[node.inputs[0]]
    case "Flatten": kept[node.outputs[0]] = try flattened(node)
    default:
      guard node.inputs.allSatisfy({ kept[$0] == nil }) else {
        throw SwiftletError(
          .unsupported, "a narrower student cannot be made through \(node.label)",
          mend: "only chains of layers can be narrowed; recover another technique instead, as in "
            + "--technique lowrank,distill")
      }
    }
  }

  private mutating func narrowLayer(_ node: Node) throws {
    guard case .layer(let layer)? = try WeightedLayer.find(node, in: graph) else {
      throw SwiftletError(
        .unsupported, "a narrower student cannot be made through \(node.label)",
        mend: "its weights must be constant and not grouped")
    }
    let outputAxis = try node.opType == "Gemm" && node.int("transB", default: 0) == 0 ? 1 : 0
    let isLast = graph.outputs.contains { feedsOutput(node.outputs[0], $0.name) }
    try narrowConstant(node.inputs[1], axis: 1 - outputAxis, to: kept[node.inputs[0]])
    guard !isLast else { return }
    let count = max(1, Int((width * Double(layer.outputs)).rounded()))
    let strongest = Self.strongest(layer, count)
    try narrowConstant(node.inputs[1], axis: outputAxis, to: strongest)
    if node.inputs.count > 2 { try narrowConstant(node.inputs[2], axis: 0, to: strongest) }
    kept[node.outputs[0]] = strongest
  }

  /// Whether no further Conv or Gemm lies between the value and the graph's output.
  private func feedsOutput(_ value: String, _ output: String) -> Bool {
    if value == output { return true }
    return graph.consumers(of: value).contains { index in
      let node = graph.nodes[index]
      return !WeightedLayer.operators.contains(node.opType)
        && node.outputs.contains { feedsOutput($0, output) }
    }
  }

  private static func strongest(_ layer: WeightedLayer, _ count: Int) -> [Int] {
    let norms = (0..<layer.outputs).map { row -> Float in
      layer.matrix.slice(axis: 0, range: row..<row + 1).elements.reduce(0) { $0 + $1 * $1 }
    }
    return Array(norms.indices.sorted { (norms[$1], $0) < (norms[$0], $1) }[..<count]).sorted()
  }

  private mutating func narrowConstant(_ name: String, axis: Int, to indices: [Int]?) throws {
    guard let indices, !name.isEmpty else { return }
    let tensor = try graph.weight(name)
    guard graph.consumers(of: name).count == 1 else {
      throw SwiftletError(.unsupported, "tensor '\(name)' is shared by several layers")
    }
    graph.initializers[name] = .float32(tensor.selecting(indices, axis: axis))
  }

  /// The features behind a Flatten that belong to the remaining channels.
  private func flattened(_ node: Node) throws -> [Int]? {
    guard let channels = kept[node.inputs[0]] else { return nil }
    guard try node.int("axis", default: 1) == 1, let shape = infos[node.inputs[0]]?.shape else {
      throw SwiftletError(.unsupported, "a narrower student cannot be made through \(node.label)")
    }
    let area = shape.count(of: 2..<shape.rank)
    return channels.flatMap { $0 * area..<($0 + 1) * area }
  }
}

extension Tensor {
  /// The given indices along one axis, packed.
  func selecting(_ indices: [Int], axis: Int) -> Tensor {
    var result = Tensor(uninitialized: shape.replacing(axis: axis, with: indices.count))
    let source = contiguous()
    let inner = shape.count(of: axis + 1..<shape.rank)
    var target = result.mutableSpan
    var position = 0
    for outer in 0..<shape.count(of: 0..<axis) {
      for index in indices {
        let start = (outer * shape[axis] + index) * inner
        target.copy(source.span.extracting(start..<start + inner), to: position)
        position += inner
      }
    }
    return result
  }
}
