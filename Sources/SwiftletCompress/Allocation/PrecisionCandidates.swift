import SwiftletCore
import SwiftletGraph

/// In what a layer could be computed, and what that does to the model's answers.
struct PrecisionCandidates {
  /// The layer's name in reports.
  let layer: String
  /// The widest first.
  let precisions: [LayerPrecision]
  /// Noise over signal of the model's answers with this layer alone in each of them.
  let damages: [Double]

  /// The layers of a graph that can be quantized; all others stay in fp32.
  ///
  /// Damage is measured with the default settings of `quantize`, once for each layer and precision.
  ///
  /// - Throws: As ``Sensitivity/measure(_:_:_:threads:progress:)``.
  static func measure(
    _ graph: Graph, _ precisions: [LayerPrecision], _ source: CalibrationSource,
    _ context: CompressionContext
  ) throws -> [PrecisionCandidates] {
    // The cases go from wide to narrow.
    let ordered = LayerPrecision.allCases.filter(precisions.contains)
    let quantized = try ordered.compactMap(\.quantization).map { settings in
      try Sensitivity.measure(
        graph, settings, source, threads: context.threads, progress: context.progress
      ).layers
    }
    let exact = ordered.contains(.fp32) ? [0.0] : []
    return quantized[0].indices.map { index in
      PrecisionCandidates(
        layer: quantized[0][index].layer, precisions: ordered,
        damages: exact + quantized.map { $0[index].noiseToSignal })
    }
  }
}
