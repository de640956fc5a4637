// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import OrderedCollections
import Swiftlet

/// `swiftlet inspect`.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a model's operators, shapes, parameters, operations and memory.",
    discussion: """
      If the batch size is open, it is set by --batch. Other open extents are set by --extent, or \
      guessed from their names:
        swiftlet inspect detector.onnx --extent H=640 --extent W=640
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @Option(help: "Batch size.")
  var batch = 1

  @OptionGroup var open: ExtentOptions<NoData>

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var common: CommonOptions

  func validate() throws { try check("--batch", batch, 1...65536) }

  func run() throws {
    let graph = try ONNXFile.read(model).foldingWeights()
    let report = try locating(model) {
      try ModelReport(graph, batch: batch, open.extents(for: graph))
    }
    if common.json { return try Console.json(report) }
    Console.print(report.text)
  }
}

/// The JSON result: a description of a model.
private struct ModelReport: Encodable {
  /// An input or output.
  struct Value: Encodable {
    let name, dtype, shape: String
  }

  /// A node.
  struct Layer: Encodable {
    /// The name of the node, or of its first output if it has none, as options refer to it.
    let name, op: String
    let outputShape: String?
    let parameters: Int
    let macs: Int?
  }

  let name: String
  let opset: Int
  let inputs, outputs: [Value]
  let operators: [String: Int]
  /// Nodes that are not supported; shapes and operations are then unknown.
  let unsupported: [String]
  /// Why shapes and operations are unknown although all nodes are supported.
  let note: String?
  /// Values assumed for open extents, except for the batch.
  let extents: [String: Int]
  let nodes: [Layer]
  let parameters: Int
  let weightBytes: Int
  let macs: Int?
  /// Peak bytes of values alive at the same time, without weights.
  let activationBytes: Int?
  let metadata: [String: String]
  private let openText: String?

  private enum CodingKeys: String, CodingKey {
    case name, opset, inputs, outputs, operators, unsupported, note, extents, nodes, parameters
    case weightBytes, macs, activationBytes, metadata
  }

  init(_ graph: Graph, batch: Int, _ given: [String: Int]) throws {
    name = graph.name
    opset = graph.opset
    func describe(_ info: ValueInfo) -> Value {
      Value(name: info.name, dtype: info.dtype.rawValue, shape: info.shapeDescription)
    }
    inputs = graph.inputs.map(describe)
    outputs = graph.outputs.map(describe)
    operators = Dictionary(graph.nodes.map { ($0.opType, 1) }, uniquingKeysWith: +)
    unsupported = OperatorRegistry.refusals(in: graph).map(\.node)
    let interpreter = unsupported.isEmpty ? try Interpreter(graph) : nil
    var infos: [String: TensorInfo]?
    var costs: [Int]?
    var reason: String?
    let open = interpreter?.openExtents(batch: batch, given: given)
    extents = Dictionary(uniqueKeysWithValues: (open?.values ?? [:]).map { ($0.key, $0.value) })
    openText = open?.text
    do {
      if let interpreter, let open {
        infos = try interpreter.infer(interpreter.inputShapes(open))
        costs = try interpreter.macs(extents: open)
      }
    } catch let error as SwiftletError where error.code == .unsupported || Self.isOpen(graph) {
      reason = "\(error)"
    }
    note = reason
    nodes = graph.nodes.enumerated().map { index, node in
      Layer(
        name: node.name.isEmpty ? node.outputs.first ?? "" : node.name, op: node.opType,
        outputShape: node.outputs.first.flatMap { infos?[$0] }.map { "\($0.shape)" },
        parameters: node.inputs.reduce(0) { $0 + (graph.initializers[$1]?.shape.count ?? 0) },
        macs: costs?[index])
    }
    parameters = graph.parameterCount
    weightBytes = graph.weightByteCount
    macs = costs?.reduce(0) { total, cost in
      let (sum, overflow) = total.addingReportingOverflow(cost)
      return overflow ? .max : sum
    }
    activationBytes = infos.flatMap { interpreter?.peakActivationBytes($0) }
    metadata = Dictionary(uniqueKeysWithValues: graph.metadata.map { ($0.key, $0.value) })
  }

  /// Whether inputs have open extents besides the batch, so that guessed values may not fit
  /// together.
  private static func isOpen(_ graph: Graph) -> Bool {
    graph.dataInputs.contains { input in
      input.dimensions.dropFirst().contains {
        if case .symbolic = $0 { true } else { false }
      }
    }
  }

  var text: String {
    var lines = ["\(name), opset \(opset)"]
    lines += inputs.map { "input   \($0.name): \($0.dtype) \($0.shape)" }
    lines += outputs.map { "output  \($0.name): \($0.dtype) \($0.shape)" }
    if let openText { lines.append("assumed \(openText)") }
    lines.append("")
    lines.append(
      table(
        [["node", "operator", "output", "parameters", "MACs"]]
          + nodes.map {
            [
              $0.name, $0.op, $0.outputShape ?? "?", "\($0.parameters)",
              $0.macs.map(String.init) ?? "?",
            ]
          }))
    lines.append("")
    lines.append("parameters  \(parameters), \(weightBytes) bytes")
    lines.append("MACs        \(macs.map(String.init) ?? "unknown")")
    lines.append("activations \(activationBytes.map { "\($0) bytes at most" } ?? "unknown")")
    if let note { lines.append("shapes unknown: \(note)") }
    if !unsupported.isEmpty {
      lines.append("not supported: \(unsupported.joined(separator: ", "))")
    }
    return lines.joined(separator: "\n")
  }
}
