import SwiftletCore
import SwiftletGraph

/// Turns the weights of layers into integers, in the way that the settings ask for.
struct WeightRounder {
  private let settings: QuantizationSettings
  /// Second moments of the layers' inputs, by layer position, where the way needs them.
  private let moments: [Int: InputMoments]

  /// - Throws: `numerical` if the samples give values that are not finite.
  init(
    _ settings: QuantizationSettings, _ graph: Graph, _ plan: QuantizationPlan,
    _ source: CalibrationSource, _ threads: ThreadPool, _ progress: Progress.Handler?
  ) throws {
    self.settings = settings
    moments =
      settings.rounding == .nearest
      ? [:] : try InputMoments.collect(graph, plan.layers, source, threads, progress)
  }

  func quantized(
    _ layer: QuantizationPlan.Layer, _ layout: WeightLayout
  ) throws -> QuantizedWeights {
    let (grid, weights) = (WeightGrid(settings, layer.node), layer.weights)
    let scales = grid.chosenScales(weights, layout)
    guard let moments = moments[layer.index] else {
      return grid.rounded(weights, layout, scales: scales)
    }
    switch settings.rounding {
    case .nearest: return grid.rounded(weights, layout, scales: scales)
    case .adaround:
      return AdaRound(grid: grid).quantized(layer, layout, scales: scales, moments)
    case .gptq: return try GPTQ(grid: grid).quantized(layer, layout, scales: scales, moments)
    }
  }
}
