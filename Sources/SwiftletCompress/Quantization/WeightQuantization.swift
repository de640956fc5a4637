// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
public import SwiftletGraph

/// Weight-only quantization: int8 or int4 weights, with a scale per channel or per group. Weights
/// are restored before use, so the file shrinks but arithmetic stays in fp32.
///
/// A group is a run of consecutive weights of one output channel: input channels of a convolution,
/// or rows of a matrix. DequantizeLinear with `block_size` (operator set 21) restores them.
///
/// - Source: ONNX `DequantizeLinear`; Frantar et al. 2022, arXiv:2210.17323, for groups.
public struct WeightQuantization: Sendable {
  private let settings: QuantizationSettings
  private let threads: Threads
  private let progress: Progress.Handler?

  /// Creates the pass. The progress handler is called for each layer.
  public init(
    settings: QuantizationSettings, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) {
    (self.settings, self.threads, self.progress) = (settings, threads, progress)
  }

  /// Quantizes the weights of a graph.
  ///
  /// - Parameters:
  ///   - graph: A model in fp32.
  ///   - source: Samples, which rounding other than to nearest needs; else `nil` is fine.
  /// - Returns: The quantized graph, and a report for each layer with weights.
  /// - Throws: `unsupported` if the graph has no weights to quantize or is already quantized;
  ///   `badInput` if samples are needed and missing.
  public func apply(
    to graph: Graph, _ source: CalibrationSource?
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let opset = max(settings.opset, groupSize > 0 ? 21 : 13)
    let prepared = try QuantizationInput(graph, opset: opset, source, threads)
    let scheme = try QuantizationScheme(
      prepared.graph, prepared.infos, keeping: settings.unquantized)
    let own = scheme.sharing4Bits(settings)
    let rounder = try WeightRounder(own, prepared.graph, scheme, source, threads, progress)
    var writer = QDQWriter(prepared.graph, sharesRestoredWeights: true)
    var reports: [LayerReport] = []
    for (index, layer) in scheme.layers.enumerated() {
      try progress?(Progress("quantize", completed: index, total: scheme.layers.count))
      let layout = layout(layer)
      let weights = try rounder.quantized(layer, layout)
      writer.replaceWeights(of: layer, with: weights)
      reports.append(
        LayerReport(
          layer.node, .quantize, changed: true,
          "int\(own.bits(of: layer.node)) weights, "
            + (layout.blockSize.map { "groups of \($0)" } ?? "a scale per channel")))
    }
    var storage = WeightStorage(settings)
    let stored = storage.apply(
      to: writer.result(), stored: writer.stored,
      excluding: Set(scheme.layers.map { $0.node.outputs[0] }))
    reports = scheme.reports(besides: storage.reports) + reports + storage.reports
    try scheme.requireLayers(orAny: storage.reports)
    return (settings.plainWeights ? stored.restoringPlainly() : stored, reports)
  }

  private var groupSize: Int { settings.groupSize ?? (settings.bits == 4 ? 32 : 0) }

  /// Groups run along the input axis. Layers with fewer inputs than a group have one scale per
  /// channel.
  private func layout(_ layer: QuantizationScheme.Layer) -> WeightLayout {
    let inputs = layer.linear.inputAxis(rank: layer.weights.shape.rank)
    let extent = layer.weights.shape[inputs]
    guard groupSize > 0, extent >= groupSize else {
      return WeightLayout(layer.weights.shape, axis: layer.axis)
    }
    return WeightLayout(layer.weights.shape, axis: inputs, blockSize: groupSize)
  }
}

extension Graph {
  /// The graph with `Cast` and `Mul` in place of each `DequantizeLinear` of constants with a scale
  /// per channel, including subgraphs.
  fileprivate func restoringPlainly() -> Graph {
    var result = self
    var names = FreshNames(self)
    result.nodes = []
    for var node in nodes {
      for (key, attribute) in node.attributes {
        if case .graph(let inner) = attribute {
          node.attributes[key] = .graph(inner.restoringPlainly())
        }
      }
      guard node.opType == "DequantizeLinear", let codes = initializers[node.inputs[0]],
        case .float32(let scales)? = initializers[node.inputs[1]],
        let axis = try? node.int("axis", default: 1)
      else {
        result.nodes.append(node)
        continue
      }
      var shape = Array(repeating: 1, count: codes.shape.rank)
      shape[axis] = scales.count
      let factors = names.next("\(node.inputs[1]).plain")
      result.initializers[factors] = .float32(scales.reshaped(to: Shape(shape)))
      let wide = names.next("\(node.outputs[0]).codes")
      result.nodes += [
        Node(
          "Cast", name: names.next("\(node.name).Cast"), inputs: [node.inputs[0]], outputs: [wide],
          attributes: ["to": .int(1)]),
        Node(
          "Mul", name: names.next("\(node.name).Mul"), inputs: [wide, factors],
          outputs: node.outputs),
      ]
    }
    result.removeUnusedInitializers()
    return result
  }
}
