// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// The precisions to choose from for a layer, and their damage to the model's outputs.
struct PrecisionCandidates {
  /// The layer's name in reports.
  let layer: String
  /// From wide to narrow.
  let precisions: [LayerPrecision]
  /// Noise-to-signal ratio of the model's outputs with only this layer in each of the precisions.
  let damages: [Double]

  /// Measures the layers of a graph that can be quantized; all others stay in fp32.
  ///
  /// The damage is measured with the default settings of `quantize`, once for each layer and
  /// precision.
  ///
  /// - Throws: As ``Sensitivity/measure(_:_:_:threads:progress:)``.
  static func measure(
    _ graph: Graph, _ precisions: [LayerPrecision], _ source: CalibrationSource,
    _ context: CompressionContext
  ) throws -> [PrecisionCandidates] {
    let input = try QuantizationInput(
      graph, opset: QuantizationSettings().opset, source, context.threads)
    let scheme = try QuantizationScheme(input.graph, input.infos)
    try scheme.requireLayers()
    let layers = scheme.layers.map(\.node.reportName)
    let ordered = precisions.sorted()
    let damages = try ordered.map { precision in
      switch precision {
      case .fp32: [Double](repeating: 0, count: layers.count)
      case .bf16: try halves(input.graph, layers, source, context)
      case .int8, .int4:
        try Sensitivity.measure(
          graph, precision.quantization()!, source, threads: context.threads,
          progress: context.progress
        ).layers.map(\.noiseToSignal)
      }
    }
    return layers.indices.map { index in
      PrecisionCandidates(
        layer: layers[index], precisions: ordered, damages: damages.map { $0[index] })
    }
  }

  /// Damage of bf16 for each layer.
  private static func halves(
    _ graph: Graph, _ layers: [String], _ source: CalibrationSource, _ context: CompressionContext
  ) throws -> [Double] {
    try layers.enumerated().map { index, layer in
      try context.progress?(Progress("measure", completed: index, total: layers.count))
      let rounded = try BFloatLayers([layer]).apply(to: graph).graph
      return try Agreement.measure(graph, rounded, source, threads: context.threads).noiseToSignal
    }
  }
}
