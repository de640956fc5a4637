import OrderedCollections
public import SwiftletCore
public import SwiftletGraph

/// int8 weights of Gemm and MatMul, and inputs that every run quantizes by the range they have then.
///
/// y = Cast(MatMulInteger(q, w)) · (s · s_w) + b, with q, s from DynamicQuantizeLinear. Needs no
/// calibration; suits encoders, whose inputs vary in range.
///
/// - Source: ONNX `DynamicQuantizeLinear`, `MatMulInteger`.
public struct DynamicQuantization: Sendable {
  private let settings: QuantizationSettings
  private let threads: ThreadPool

  public init(settings: QuantizationSettings, threads: ThreadPool = .available) {
    (self.settings, self.threads) = (settings, threads)
  }

  /// - Throws: `unsupported` if the graph has no Gemm or MatMul to quantize, or is quantized already.
  public func apply(
    to graph: Graph, _ source: CalibrationSource
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let prepared = try QuantizationInput(graph, opset: 13, source, threads)
    let plan = try QuantizationPlan(prepared.graph, prepared.infos, keeping: settings.unquantized)
    var reports = plan.refusals.map { LayerReport($0.node, .quantize, changed: false, $0.reason) }
    let layers = plan.layers.filter { $0.node.opType != "Conv" }
    guard !layers.isEmpty || !settings.unquantized.isEmpty else {
      throw SwiftletError(
        .unsupported, "the model has no Gemm or MatMul, which dynamic quantization is for",
        mend: "leave --dynamic out")
    }
    var result = prepared.graph
    // From the end, so that positions of layers further ahead stay right.
    for layer in plan.layers.reversed() {
      guard layer.node.opType != "Conv" else {
        reports.append(
          LayerReport(
            layer.node, .quantize, changed: false, "dynamic quantization is for Gemm and MatMul"))
        continue
      }
      result.replaceNode(at: layer.index, with: nodes(layer, in: &result))
      reports.append(
        LayerReport(
          layer.node, .quantize, changed: true,
          "int8 weights per channel, inputs quantized in every run"))
    }
    result.removeUnusedInitializers()
    return (result, reports)
  }

  private func nodes(_ layer: QuantizationPlan.Layer, in graph: inout Graph) -> [Node] {
    let base = layer.node.inputs[1]
    func constant(_ suffix: String, _ tensor: AnyTensor) -> String {
      let name = graph.freshName("\(base).\(suffix)")
      graph.initializers[name] = tensor
      return name
    }
    // Inputs × outputs, whichever way the layer has them.
    let matrix = layer.matrix.transposed().contiguous()
    let grid = WeightGrid(bits: settings.bits)
    let layout = WeightLayout(matrix.shape, axis: 1)
    let weights = grid.rounded(matrix, layout, scales: grid.scales(matrix, layout))
    let codes = constant("quantized", weights.codes)
    let scales = constant("scale", .float32(weights.scales))
    let output = layer.node.outputs[0]
    let names = ["codes", "scale", "zero", "sums", "units", "factors", "product"].map {
      graph.freshName("\(output).\($0)")
    }
    let hasBias = layer.node.inputs.count > 2 && !layer.node.inputs[2].isEmpty
    func node(
      _ opType: String, _ inputs: [String], _ outputs: [String],
      _ attributes: [String: Attribute] = [:]
    ) -> Node {
      Node(
        opType, name: graph.freshName("\(outputs[0]).\(opType)"), inputs: inputs, outputs: outputs,
        attributes: attributes)
    }
    let product = hasBias ? names[6] : output
    var nodes = [
      node("DynamicQuantizeLinear", [layer.input], Array(names[0...2])),
      node("MatMulInteger", [names[0], codes, names[2]], [names[3]]),
      node("Cast", [names[3]], [names[4]], ["to": .int(1)]),
      node("Mul", [names[1], scales], [names[5]]),
      node("Mul", [names[4], names[5]], [product]),
    ]
    if hasBias { nodes.append(node("Add", [product, layer.node.inputs[2]], [output])) }
    return nodes
  }
}
