import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Constant weights that a node reads and that can be stored as integers, whatever computes with them: recurrent
/// layers, tables, transposed convolutions, and layers of all kinds that integers do not come to.
struct WeightUse {
  let node: Node
  /// The name of the constant.
  let weights: String
  /// The axis of the weights whose indices have a scale each.
  let axis: Int

  /// Smaller tables are not worth it: they may be what positions are computed from.
  private static let fewestElements = 1024

  /// - Returns: The weights that the node itself reads; none for a node that has no weights.
  static func find(_ node: Node, constant: (String) -> AnyTensor?) -> [WeightUse] {
    func use(_ input: Int, axis: (Shape) -> Int) -> WeightUse? {
      guard node.inputs.indices.contains(input), let tensor = constant(node.inputs[input]),
        case .float32 = tensor, tensor.shape.rank > 1, tensor.shape.count > 0
      else { return nil }
      return WeightUse(node: node, weights: node.inputs[input], axis: axis(tensor.shape))
    }
    guard node.domain.isEmpty || node.domain == "ai.onnx" else { return [] }
    switch node.opType {
    case "LSTM", "GRU", "RNN": return [use(1) { _ in 1 }, use(2) { _ in 1 }].compactMap { $0 }
    case "ConvTranspose": return [use(1) { _ in 1 }].compactMap { $0 }
    case "Conv": return [use(1) { _ in 0 }].compactMap { $0 }
    case "Gather":
      let table = use(0) { _ in 0 }
      return [table].compactMap { $0 }.filter {
        constant($0.weights)!.shape.count >= fewestElements && constant(node.inputs[1]) == nil
      }
    case "Gemm":
      let isTransposed = (try? node.int("transB", default: 0)) != 0
      return [use(1) { _ in isTransposed ? 0 : 1 }].compactMap { $0 }
    case "MatMul":
      // Weights may be on either side; products of constants are no layers.
      let uses = [use(0) { $0.rank - 2 }, use(1) { $0.rank - 1 }].compactMap { $0 }
      return uses.count == 1 ? uses : []
    default: return []
    }
  }
}

/// The codes that a constant has become.
struct StoredCodes {
  let codes, scales: String
  let axis: Int
  /// Whether the codes are those of the transposed matrix.
  var isTransposed = false
}

/// Stores weights as int8 and restores them where the graph begins, for all that reads them: one copy, whatever
/// uses it. Graphs among the attributes of nodes have their own weights stored in them.
struct WeightStorage {
  private let keeping: Set<String>
  private let grid: WeightGrid
  /// What has been done, in the order of the nodes.
  private(set) var reports: [LayerReport] = []

  init(_ settings: QuantizationSettings) {
    keeping = settings.unquantized
    // Few steps with one scale for a row of a recurrent layer or table lose too much.
    grid = WeightGrid(bits: max(7, settings.bits))
  }

  /// - Parameters:
  ///   - stored: Constants that are stored already: all other readers of them read the same codes.
  ///   - excluding: Nodes that keep reading the constants, by their first output.
  mutating func apply(
    to graph: Graph, stored: [String: StoredCodes] = [:], excluding: Set<String> = []
  ) -> Graph {
    var result = graph
    var uses: OrderedDictionary<String, WeightUse> = [:]
    for index in result.nodes.indices {
      let node = result.nodes[index]
      for name in node.attributes.keys.sorted() {
        guard case .graph(let inner)? = node.attributes[name] else { continue }
        collect(inner, from: graph, &uses)
        result.nodes[index].attributes[name] = .graph(apply(to: inner))
      }
      guard !excluding.contains(node.outputs[0]) else { continue }
      for use in WeightUse.find(node, constant: { graph.initializers[$0] }) { add(use, &uses) }
    }
    write(uses, stored, excluding, &result)
    return result
  }

  /// Finds what an inner graph reads of the constants around it.
  private mutating func collect(
    _ inner: Graph, from outer: Graph, _ uses: inout OrderedDictionary<String, WeightUse>
  ) {
    let own = Set(inner.initializers.keys)
    for node in inner.nodes {
      for use in WeightUse.find(
        node, constant: { own.contains($0) ? nil : outer.initializers[$0] })
      { add(use, &uses) }
      for case .graph(let next) in node.attributes.values { collect(next, from: outer, &uses) }
    }
  }

  private mutating func add(_ use: WeightUse, _ uses: inout OrderedDictionary<String, WeightUse>) {
    guard keeping.isDisjoint(with: [use.node.name, use.node.outputs[0]]) else {
      guard reports.last?.layer != use.node.reportName else { return }
      reports.append(
        LayerReport(use.node, .quantize, changed: false, "it was chosen to keep its floats"))
      return
    }
    if uses[use.weights] == nil { uses[use.weights] = use }
    let remark = "int8 weights, a scale per channel, restored before use"
    guard reports.last?.layer != use.node.reportName else { return }
    reports.append(LayerReport(use.node, .quantize, changed: true, remark))
  }

  private mutating func write(
    _ uses: OrderedDictionary<String, WeightUse>, _ stored: [String: StoredCodes],
    _ excluding: Set<String>, _ graph: inout Graph
  ) {
    var names = FreshNames(graph)
    var restored: [String: String] = [:]
    var leading: [Node] = []
    let outputs = Set(graph.outputs.map(\.name))
    for (name, use) in uses where !outputs.contains(name) {
      guard let weights: Tensor<Float> = graph.initializers[name]?.typed(), weights.isFinite else {
        refuse(use, "its weights have NaN or infinite elements")
        continue
      }
      let codes = stored[name] ?? store(name, weights, use.axis, &graph, &names)
      let output = names.next("\(name).restored")
      var made = codes.isTransposed ? names.next("\(name).turned") : output
      leading.append(
        Node(
          "DequantizeLinear", name: names.next("\(name).restored.DequantizeLinear"),
          inputs: [codes.codes, codes.scales], outputs: [made],
          attributes: ["axis": .int(codes.axis)]))
      if codes.isTransposed {
        leading.append(
          Node(
            "Transpose", name: names.next("\(name).Transpose"), inputs: [made], outputs: [output],
            attributes: ["perm": .ints([1, 0])]))
        made = output
      }
      restored[name] = made
    }
    guard !restored.isEmpty else { return }
    for index in graph.nodes.indices where !excluding.contains(graph.nodes[index].outputs[0]) {
      guard keeping.isDisjoint(with: [graph.nodes[index].name, graph.nodes[index].outputs[0]])
      else { continue }
      graph.nodes[index].rename(reads: restored)
    }
    graph.nodes = leading + graph.nodes
    graph.removeUnusedInitializers()
  }

  private func store(
    _ name: String, _ weights: Tensor<Float>, _ axis: Int, _ graph: inout Graph,
    _ names: inout FreshNames
  ) -> StoredCodes {
    let layout = WeightLayout(weights.shape, axis: axis)
    let quantized = grid.rounded(weights, layout, scales: grid.scales(weights, layout))
    let (codes, scales) = (names.next("\(name).quantized"), names.next("\(name).scale"))
    graph.initializers[codes] = quantized.codes
    graph.initializers[scales] = .float32(quantized.scales)
    return StoredCodes(codes: codes, scales: scales, axis: axis)
  }

  private mutating func refuse(_ use: WeightUse, _ reason: String) {
    reports.removeAll { $0.layer == use.node.reportName && $0.changed }
    reports.append(LayerReport(use.node, .quantize, changed: false, reason))
  }

  /// The nodes with weights that stay as they are, and why.
  static func kept(in graph: Graph, besides known: Set<String>, _ reason: String) -> [LayerReport] {
    func found(_ graph: Graph, _ outer: @escaping (String) -> AnyTensor?) -> [Node] {
      let constant = { (name: String) in graph.initializers[name] ?? outer(name) }
      return graph.nodes.flatMap { node -> [Node] in
        let inner = node.attributes.sorted { $0.key < $1.key }.flatMap { _, attribute in
          if case .graph(let inner) = attribute { found(inner, constant) } else { [] as [Node] }
        }
        return (WeightUse.find(node, constant: constant).isEmpty ? [] : [node]) + inner
      }
    }
    return found(graph) { _ in nil }.filter { !known.contains($0.reportName) }.map {
      LayerReport($0, .quantize, changed: false, reason)
    }
  }
}
