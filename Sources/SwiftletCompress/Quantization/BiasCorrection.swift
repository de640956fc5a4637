// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Takes back the mean error that rounded weights make in each output channel, in the bias.
///
/// With the means E[x] of the input's channels, the error is Σ (W̃ − W) · E[x]. Padding counts as
/// values, which is right but for the edges.
///
/// - Source: Nagel et al. 2019, arXiv:1906.04721, section 4.2, with means that were measured.
struct BiasCorrection {
  /// Means of the layer's input channels.
  let means: [Double]

  /// The bias with the error taken off; `nil` for a layer that this does not know.
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
