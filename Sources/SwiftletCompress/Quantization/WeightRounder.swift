// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Rounds the weights of layers to integers, by the method in the settings.
final class WeightRounder {
  private let settings: QuantizationSettings
  private let threads: Threads
  /// Second moments of layer inputs, by weights; empty if the rounding method does not need them.
  private let moments: [Key: Moments]
  /// Weights rounded so far, in the order of their constants: layers that share weights share
  /// codes.
  private var rounded: [Key: QuantizedWeights] = [:]

  /// A constant and how it is quantized.
  struct Key: Hashable {
    let weights: String
    let axis, bits: Int
    let blockSize: Int?

    init(
      _ layer: QuantizationScheme.Layer, _ settings: QuantizationSettings, _ blockSize: Int? = nil
    ) {
      (weights, axis) = (layer.source, layer.sourceAxis)
      (bits, self.blockSize) = (settings.bits(of: layer.node), blockSize)
    }
  }

  /// - Throws: `badInput` if samples are needed and missing; `numerical` if samples produce values
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
