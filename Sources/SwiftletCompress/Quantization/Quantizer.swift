// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// Quantization of a model after training, in whichever mode the settings name.
public struct Quantizer: Sendable {
  private let settings: QuantizationSettings
  private let threads: Threads
  private let progress: Progress.Handler?

  public init(
    _ settings: QuantizationSettings, threads: Threads = .available,
    progress: Progress.Handler? = nil
  ) {
    (self.settings, self.threads, self.progress) = (settings, threads, progress)
  }

  /// The source is `nil` without samples, which weights alone do not need if they are rounded to
  /// nearest.
  ///
  /// - Throws: `badInput` for settings that make no sense or need samples, `unsupported` if the
  ///   graph has nothing to quantize or is quantized already, `numerical` if the samples give
  ///   values that are not finite.
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
  /// - Throws: `badInput` if there is none.
  var required: CalibrationSource {
    get throws {
      guard let self else {
        throw SwiftletError(
          .badInput, "these settings of quantize need samples", mend: "give some with --data")
      }
      return self
    }
  }
}
