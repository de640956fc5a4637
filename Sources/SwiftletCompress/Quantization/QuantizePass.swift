// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Converts weights, and activations if asked for, to integers; see ``QuantizationMode``.
struct QuantizePass: TrainingPass {
  private let settings: QuantizationSettings

  init(_ settings: QuantizationSettings) { self.settings = settings }

  func train(_ graph: Graph, _ context: CompressionContext) throws -> TrainedResult {
    guard context.hasSamples || settings.needsSamples else {
      let (quantized, layers) = try Quantizer(
        settings, threads: context.threads, progress: context.progress
      ).apply(to: graph, nil)
      return TrainedResult(graph: quantized, layers: layers, history: nil)
    }
    let source = try context.calibration(for: graph, limit: settings.calibrationImages)
    guard settings.qatEpochs == 0 else {
      return try QuantizationAwareTraining(settings: settings, context: context)
        .apply(to: graph, source)
    }
    let (quantized, layers) =
      if let maxDrop = settings.mixedDrop {
        try MixedPrecision(settings, maxDrop: maxDrop, context).apply(to: graph, source)
      } else {
        try Quantizer(
          settings, threads: context.threads, progress: context.progress
        ).apply(to: graph, source)
      }
    return TrainedResult(graph: quantized, layers: layers, history: nil)
  }
}
