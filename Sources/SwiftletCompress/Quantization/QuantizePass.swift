import Logging
import SwiftletCore
import SwiftletGraph

/// Weights, and activations where wanted, as integers; see ``QuantizationMode``.
struct QuantizePass: TrainingPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func train(_ graph: Graph, _ context: CompressionContext) throws -> TrainedResult {
    let log = Logger.swiftlet("compress")
    for note in step.quantization.withoutEffect { log.notice("\(note)") }
    guard context.hasSamples || step.needsSamples else {
      let (quantized, layers) = try Quantizer(
        step.quantization, threads: context.threads, progress: context.progress
      ).apply(to: graph, nil)
      return TrainedResult(graph: quantized, layers: layers, history: nil)
    }
    let source = try context.calibration(for: graph, limit: step.calibrationImages)
    guard step.quantization.qatEpochs == 0 else {
      return try QuantizationAwareTraining(settings: step.quantization, context: context)
        .apply(to: graph, source)
    }
    let (quantized, layers) =
      if let maxDrop = step.quantization.mixedDrop {
        try MixedPrecision(step.quantization, maxDrop: maxDrop, context).apply(to: graph, source)
      } else {
        try Quantizer(
          step.quantization, threads: context.threads, progress: context.progress
        ).apply(to: graph, source)
      }
    return TrainedResult(graph: quantized, layers: layers, history: nil)
  }
}
