// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Corrects the mean error that rounded weights cause in each output channel, by adjusting the
/// bias.
///
/// With E[x] the means of the input channels, the error is Σ (W̃ − W) · E[x]. Padding is treated
/// like any other input, which is inexact only at the borders.
///
/// - Source: Nagel et al. 2019, arXiv:1906.04721, section 4.2, with measured means.
struct BiasCorrection {
  /// Mean of each input channel of the layer.
  let means: [Double]

  /// The corrected bias, one number per output channel; `nil` for MatMul, layers whose bias is not
  /// constant, and inputs with another number of channels.
  func corrected(
    _ layer: QuantizationScheme.Layer, _ weights: QuantizedWeights
  ) -> Tensor<Float>? {
    let (linear, layout) = (layer.linear, layer.layout)
    let hasOther = layer.bias == nil && linear.bias != nil
    guard means.count == layout.inputs, linear.kind != .matMul, !hasOther else { return nil }
    let (original, restored) = (layer.weights, weights.restored)
    var bias = layer.bias?.elements ?? [Float](repeating: 0, count: layer.outputs)
    for output in bias.indices {
      var error = 0.0
      for product in 0..<layout.depth {
        let position = layout.position(output, product)
        error +=
          Double(restored.span[position] - original.span[position])
          * means[layout.channels(at: position).input]
      }
      bias[output] -= Float(error)
    }
    return Tensor([bias.count], bias)
  }
}
