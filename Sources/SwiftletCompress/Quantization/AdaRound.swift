// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Adaptive rounding: rounds each weight up or down so as to minimize the error of the layer's
/// outputs.
///
/// Weights become s · (⌊w/s⌋ + h(v)) with h(v) = clip(1.2 · σ(v) − 0.1, 0, 1). Adam finds the v
/// that minimize the squared error of the layer's outputs plus a regularizer that drives h to 0 or
/// 1. The error is computed from the second moments of the inputs, not from individual samples. An
/// output channel for which rounding to nearest has the smaller error is rounded to nearest.
///
/// - Source: Nagel et al. 2020, arXiv:2004.10568.
struct AdaRound {
  let grid: WeightGrid
  private static let steps = 800
  private static let rate: Float = 0.02
  /// Weight of the regularizer relative to the error of rounding to nearest.
  private static let pull: Float = 0.3

  /// Quantizes a layer's weights.
  ///
  /// - Parameter scales: The scales given by `layout`, which stay as they are.
  func quantized(
    _ layer: QuantizationScheme.Layer, _ layout: WeightLayout, scales: [Float],
    _ moments: Moments
  ) -> QuantizedWeights {
    let (rows, depth) = (layer.outputs, layer.depth)
    let weights = layer.matrix
    let steps = (0..<rows * depth).map {
      scales[layout.scale(of: layer.layout.position($0 / depth, $0 % depth))]
    }
    let hessian: Tensor<Float> = moments.secondMoment.converted()
    let nearest = weights.elements.enumerated().map { grid.code($1, steps[$0]) }
    let before = errors(nearest, weights, steps, hessian)
    let learned = learn(weights, steps, hessian, before)
    let after = errors(learned, weights, steps, hessian)
    var codes = [Int8](repeating: 0, count: rows * depth)
    for row in 0..<rows {
      let better = after[row] < before[row] ? learned : nearest
      for i in 0..<depth { codes[layer.layout.position(row, i)] = Int8(better[row * depth + i]) }
    }
    return grid.quantized(codes, layout, scales)
  }

  /// The squared output error of each output channel.
  private func errors(
    _ codes: [Float], _ weights: Tensor<Float>, _ steps: [Float], _ hessian: Tensor<Float>
  ) -> [Float] {
    let original = weights.elements
    let difference = Tensor(
      weights.shape, codes.indices.map { codes[$0] * steps[$0] - original[$0] })
    let responses = matrixProduct(difference, hessian)
    let depth = weights.shape[1]
    return (0..<weights.shape[0]).map { row in
      (row * depth..<(row + 1) * depth).reduce(0) {
        $0 + difference.span[$1] * responses.span[$1]
      }
    }
  }

  /// The codes that minimize the loss, outputs × depth.
  private func learn(
    _ weights: Tensor<Float>, _ steps: [Float], _ hessian: Tensor<Float>, _ nearest: [Float]
  ) -> [Float] {
    let (count, depth) = (weights.count, weights.shape[1])
    let original = weights.elements
    let floors = original.indices.map { (original[$0] / steps[$0]).rounded(.down) }
    // Start from the v for which h(v) reproduces the unrounded weight.
    var v = original.indices.map { index -> Float in
      let rest = original[index] / steps[index] - floors[index]
      let share = min(max((rest + 0.1) / 1.2, 1e-4), 1 - 1e-4)
      return -Float.log(1 / share - 1)
    }
    let scale = nearest.map { 1 / max($0, .leastNormalMagnitude) }
    var (first, second) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
    var difference = Tensor<Float>(uninitialized: weights.shape)
    var (soft, slope) = (v, v)
    for step in 0..<Self.steps {
      let progress = Float(step) / Float(Self.steps)
      var target = difference.mutableSpan
      for i in 0..<count {
        let sigmoid = 1 / (1 + Float.exp(-v[i]))
        let h = 1.2 * sigmoid - 0.1
        soft[i] = min(max(h, 0), 1)
        slope[i] = h > 0 && h < 1 ? 1.2 * sigmoid * (1 - sigmoid) : 0
        let code = floors[i] + soft[i]
        target[i] = min(max(code, -grid.highest), grid.highest) * steps[i] - original[i]
      }
      let gradient = matrixProduct(difference, hessian)
      let gradients = gradient.span
      // The regularizer starts after a warm-up; its exponent β falls from 20 to 2 as training
      // proceeds.
      let beta: Float = 20 - 18 * progress
      let pull = progress < 0.2 ? 0 : Self.pull / Float(depth)
      let (correction1, correction2) = (
        1 - Float.pow(0.9, Float(step + 1)), 1 - Float.pow(0.999, Float(step + 1))
      )
      for i in 0..<count {
        var g = 2 * gradients[i] * steps[i] * scale[i / depth] * slope[i]
        let side = 2 * soft[i] - 1
        if pull > 0 {
          let push = Float.pow(abs(side), beta - 1) * 2 * beta
          g -= pull * (side < 0 ? -push : push) * slope[i]
        }
        first[i] = 0.9 * first[i] + 0.1 * g
        second[i] = 0.999 * second[i] + 0.001 * g * g
        v[i] -= Self.rate * first[i] / correction1 / ((second[i] / correction2).squareRoot() + 1e-8)
      }
    }
    return v.indices.map {
      min(max(floors[$0] + (v[$0] >= 0 ? 1 : 0), -grid.highest), grid.highest)
    }
  }
}
