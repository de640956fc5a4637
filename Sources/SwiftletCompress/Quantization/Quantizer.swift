// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// Post-training quantization of a model, in the mode chosen by the settings.
public struct Quantizer: Sendable {
  private let settings: QuantizationSettings
  private let threads: Threads
  private let progress: Progress.Handler?

  /// Creates a quantizer. The progress handler is called during calibration and learned rounding.
  public init(
    _ settings: QuantizationSettings, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) {
    (self.settings, self.threads, self.progress) = (settings, threads, progress)
  }

  /// Quantizes a graph; training and mixed precision are left to the pipeline.
  ///
  /// - Parameters:
  ///   - graph: A model in fp32.
  ///   - source: Calibration samples; `nil` is allowed for dynamic quantization, and for
  ///     weight-only quantization with rounding to nearest.
  /// - Returns: The quantized graph, and a report for each layer with weights.
  ///
  /// - Throws: `badInput` for invalid settings or missing samples, `unsupported` if the graph has
  ///   nothing to quantize or is already quantized, `numerical` if a value has no finite elements.
  public func apply(
    to graph: Graph, _ source: CalibrationSource?
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    try settings.validate()
    let settings = settings.naming(layersOf: [graph]) { _, _ in }
    let (quantized, layers) =
      switch settings.mode {
      case .static:
        try StaticQuantization(settings: settings, threads: threads, progress: progress)
          .apply(to: graph, source.required)
      case .weightOnly:
        try WeightQuantization(settings: settings, threads: threads, progress: progress)
          .apply(to: graph, source)
      case .dynamic:
        try DynamicQuantization(settings: settings, threads: threads).apply(to: graph, source)
      }
    return try BFloatLayers(settings.bf16).apply(to: quantized, layers)
  }
}

extension CalibrationSource? {
  /// - Throws: `badInput` if there is no source.
  var required: CalibrationSource {
    get throws {
      guard let self else {
        throw SwiftletError(
          .badInput, "these quantize settings need samples", mend: "give samples with --data")
      }
      return self
    }
  }
}
