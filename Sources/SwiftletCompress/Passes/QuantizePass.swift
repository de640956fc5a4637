import SwiftletGraph

/// Weights, and activations where wanted, as integers; see ``QuantizationMode``.
struct QuantizePass: CompressionPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let source = try CalibrationSource(
      context.training, for: graph, limit: step.calibrationImages, threads: context.threads)
    let (settings, threads, progress) = (step.quantization, context.threads, context.progress)
    return switch settings.mode {
    case .static:
      try StaticQuantization(settings: settings, threads: threads, progress: progress)
        .apply(to: graph, source)
    case .weightOnly:
      try WeightQuantization(settings: settings, threads: threads, progress: progress)
        .apply(to: graph, source)
    case .dynamic:
      try DynamicQuantization(settings: settings, threads: threads).apply(to: graph, source)
    }
  }
}
