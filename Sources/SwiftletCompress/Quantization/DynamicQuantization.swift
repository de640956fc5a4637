// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
public import SwiftletGraph

/// Dynamic quantization: int8 weights for Gemm and MatMul, whose inputs are quantized at run time
/// by their actual range.
///
/// y = Cast(MatMulInteger(q, w)) · (s · s_w) + b, with q and s from DynamicQuantizeLinear. Needs no
/// calibration. Suits transformer encoders, whose input ranges vary between samples. Other layers
/// with weights store them as int8 and restore them before use.
///
/// - Source: ONNX `DynamicQuantizeLinear`, `MatMulInteger`.
public struct DynamicQuantization: Sendable {
  private let settings: QuantizationSettings
  private let threads: Threads

  /// Creates the pass. Of the settings, it reads the number of bits and the layers to keep.
  public init(settings: QuantizationSettings, threads: Threads = .available) {
    (self.settings, self.threads) = (settings, threads)
  }

  /// Quantizes a graph. Samples are optional; they only help to infer the types of values.
  ///
  /// - Throws: `unsupported` if the graph has no weights that can be quantized, or is quantized
  ///   already.
  public func apply(
    to graph: Graph, _ source: CalibrationSource?
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let prepared = try QuantizationInput(graph, opset: 13, source, threads)
    let scheme = try QuantizationScheme(
      prepared.graph, prepared.infos, keeping: settings.unquantized)
    var writer = Writer(prepared.graph, bits: settings.bits)
    let products = scheme.layers.filter { !$0.isConv }
    for layer in products.reversed() { writer.replace(layer) }
    var storage = WeightStorage(settings)
    let result = storage.apply(to: writer.result(), stored: writer.stored)
    guard
      !products.isEmpty || !settings.unquantized.isEmpty
        || storage.reports.contains(where: \.changed)
    else {
      throw SwiftletError(
        .unsupported, "the model has no Gemm or MatMul to quantize dynamically",
        fix: "use mode static or weightOnly")
    }
    var reports = products.map {
      LayerReport(
        $0.node, .quantize, changed: true,
        "int8 weights per channel, input quantized at run time")
    }
    reports = scheme.reports(besides: storage.reports) + reports + storage.reports
    return (result, reports)
  }

  /// A graph whose layers are being replaced.
  private struct Writer {
    private var graph: Graph
    private var names: FreshNames
    private let grid: WeightGrid
    private var replacements: [Int: [Node]] = [:]
    private var hasTurnedWeights = false
    /// Codes of the weight matrices, inputs × outputs, by the name of the weights.
    private(set) var stored: [String: StoredCodes] = [:]

    init(_ graph: Graph, bits: Int) {
      (self.graph, grid) = (graph, WeightGrid(bits: bits))
      names = FreshNames(graph)
    }

    private mutating func constant(_ name: String, _ tensor: AnyTensor) -> String {
      let name = names.next(name)
      graph.initializers[name] = tensor
      return name
    }

    private mutating func codes(of layer: QuantizationScheme.Layer) -> StoredCodes {
      let base = layer.source
      if let known = stored[base] { return known }
      // Always inputs × outputs, whatever the layer's own order.
      let matrix = layer.matrix.transposed().contiguous()
      let layout = WeightLayout(matrix.shape, axis: 1)
      let weights = grid.rounded(matrix, layout, scales: grid.scales(matrix, layout))
      let made = StoredCodes(
        codes: constant("\(base).quantized", weights.codes),
        scales: constant("\(base).scale", .float32(weights.scales)), axis: 1,
        isTransposed: layer.sourceAxis == 0)
      stored[base] = made
      return made
    }

    private mutating func node(
      _ opType: String, _ inputs: [String], _ outputs: [String],
      _ attributes: [String: Attribute] = [:]
    ) -> Node {
      Node(
        opType, name: names.next("\(outputs[0]).\(opType)"), inputs: inputs, outputs: outputs,
        attributes: attributes)
    }

    mutating func replace(_ layer: QuantizationScheme.Layer) {
      hasTurnedWeights = hasTurnedWeights || layer.isTurned
      let weights = codes(of: layer)
      let output = layer.node.outputs[0]
      var nodes: [Node] = []
      let parts = ["codes", "scale", "zero", "sums", "units", "factors", "product"].map {
        names.next("\(output).\($0)")
      }
      let product = layer.linear.bias == nil ? output : parts[6]
      nodes += [
        node("DynamicQuantizeLinear", [layer.input], Array(parts[0...2])),
        node("MatMulInteger", [parts[0], weights.codes, parts[2]], [parts[3]]),
        node("Cast", [parts[3]], [parts[4]], ["to": .int(1)]),
        node("Mul", [parts[1], weights.scales], [parts[5]]),
        node("Mul", [parts[4], parts[5]], [product]),
      ]
      if let bias = layer.linear.bias { nodes.append(node("Add", [product, bias], [output])) }
      replacements[layer.index] = nodes
    }

    func result() -> Graph {
      var result = graph
      result.nodes = graph.nodes.enumerated().flatMap { replacements[$0] ?? [$1] }
      // Removes transpositions of fp32 weights that nothing reads any more.
      if hasTurnedWeights { result.removeUnusedNodes() }
      result.removeUnusedInitializers()
      return result
    }
  }
}
