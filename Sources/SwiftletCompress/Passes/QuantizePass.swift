import SwiftletGraph

/// Weights, and activations where wanted, as integers; see ``QuantizationMode``.
struct QuantizePass: CompressionPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let source = try context.calibration(for: graph, limit: step.calibrationImages)
    guard step.quantization.qatEpochs == 0 else {
      return try QuantizationAwareTraining(settings: step.quantization, context: context)
        .apply(to: graph, source)
    }
    if let maxDrop = step.quantization.mixedDrop {
      return try MixedPrecision(step.quantization, maxDrop: maxDrop, context)
        .apply(to: graph, source)
    }
    return try Quantizer(
      step.quantization, threads: context.threads, progress: context.progress
    ).apply(to: graph, source)
  }
}
