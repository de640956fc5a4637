// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Turns the weights of layers into integers, in the way that the settings ask for.
final class WeightRounder {
  private let settings: QuantizationSettings
  private let threads: Threads
  /// Second moments of the inputs of all layers with the same weights, where the way needs them.
  private let moments: [Key: Moments]
  /// What has been rounded already, as the constants lie: layers that share weights share their
  /// codes.
  private var rounded: [Key: QuantizedWeights] = [:]

  /// Weights, and what they are to become.
  struct Key: Hashable {
    let weights: String
    let axis, bits: Int
    let blockSize: Int?

    init(_ layer: QuantizationScheme.Layer, _ settings: QuantizationSettings, _ blockSize: Int? = nil)
    {
      (weights, axis) = (layer.source, layer.sourceAxis)
      (bits, self.blockSize) = (settings.bits(of: layer.node), blockSize)
    }
  }

  /// - Throws: `badInput` without samples, if they are needed; `numerical` if these give values
  ///   that are not finite.
  init(
    _ settings: QuantizationSettings, _ graph: Graph, _ scheme: QuantizationScheme,
    _ source: CalibrationSource?, _ threads: Threads, _ progress: Progress.Handler?
  ) throws {
    (self.settings, self.threads) = (settings, threads)
    guard settings.rounding != .nearest else {
      moments = [:]
      return
    }
    moments = try InputMoments.collect(
      graph, scheme.layers, source.required, threads, progress
    ) { Key($0, settings) }
  }

  func quantized(
    _ layer: QuantizationScheme.Layer, _ layout: WeightLayout
  ) throws -> QuantizedWeights {
    let key = Key(layer, settings, layout.blockSize)
    if let known = rounded[key] { return layer.isTurned ? known.turned : known }
    let made = try round(layer, layout)
    rounded[key] = layer.isTurned ? made.turned : made
    return made
  }

  private func round(
    _ layer: QuantizationScheme.Layer, _ layout: WeightLayout
  ) throws -> QuantizedWeights {
    let (grid, weights) = (WeightGrid(settings, layer.node), layer.weights)
    let scales = grid.chosenScales(weights, layout)
    guard let moments = moments[Key(layer, settings)] else {
      return grid.rounded(weights, layout, scales: scales)
    }
    switch settings.rounding {
    case .nearest: return grid.rounded(weights, layout, scales: scales)
    case .adaround:
      return AdaRound(grid: grid).quantized(layer, layout, scales: scales, moments)
    case .gptq:
      return try GPTQ(grid: grid, threads: threads).quantized(
        layer, layout, scales: scales, moments)
    }
  }
}
