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
  ) throws -> Tensor<Float>? {
    let groups = try layer.node.int("group", default: 1)
    let hasOther = layer.bias == nil && layer.node.inputs.count > 2 && !layer.node.inputs[2].isEmpty
    let isConv = layer.node.opType == "Conv"
    let channels = isConv ? layer.weights.shape[1] : layer.depth
    guard means.count == channels * groups, layer.node.opType != "MatMul", !hasOther else {
      return nil
    }
    let area = layer.depth / channels
    let (original, restored) = (layer.weights, weights.restored)
    var bias = layer.bias?.elements ?? [Float](repeating: 0, count: layer.outputs)
    for output in bias.indices {
      let first = output / (layer.outputs / groups) * channels
      var error = 0.0
      for product in 0..<layer.depth {
        let position = layer.position(output, product)
        error +=
          Double(restored.span[position] - original.span[position])
          * means[first + product / area]
      }
      bias[output] -= Float(error)
    }
    return Tensor([bias.count], bias)
  }
}
