// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// The second moments Σ x·xᵀ of the vectors that a layer multiplies by its weights: im2col columns
/// of a convolution, or rows of a matrix.
///
/// They determine the squared error that changed weights cause in the layer's outputs, Σ ‖ΔW·x‖² =
/// tr(ΔW · Σ x·xᵀ · ΔWᵀ), and take memory independent of the number of samples. Moments of layers
/// that share weights are summed.
enum InputMoments {
  /// Maximum depth, in products per output: above it, moments take too much time and memory.
  static let depthLimit = 4096

  /// Runs the samples through the graph. Rows with NaN or infinite elements are skipped.
  ///
  /// - Parameter key: Identifies the weights of a layer: the same for layers that share weights.
  /// - Returns: The moments by key, without grouped convolutions and layers deeper than
  ///   ``depthLimit``.
  static func collect<Key: Hashable>(
    _ graph: Graph, _ layers: [QuantizationScheme.Layer], _ source: CalibrationSource,
    _ threads: Threads, _ progress: Progress.Handler?, by key: (QuantizationScheme.Layer) -> Key
  ) throws -> [Key: Moments] {
    var moments: [Key: Moments] = [:]
    var readers: OrderedDictionary<String, [(rows: WindowRows, key: Key)]> = [:]
    // Of several groups, no output sees all inputs.
    for layer in layers where layer.linear.groups == 1 && layer.depth <= depthLimit {
      let rows = WindowRows(layer.node, kernel: layer.layout.kernel, depth: layer.depth)
      moments[key(layer)] = Moments(width: layer.depth)
      readers[layer.input, default: []].append((rows, key(layer)))
    }
    let reader = try ValueReader(graph, Array(readers.keys), threads: threads)
    try source.forEachBatch { inputs, range in
      let values = try reader.read(inputs, finite: false)
      for (name, layers) in readers {
        for layer in layers {
          moments[layer.key]!.add(try layer.rows.inputs(values[name]!).finiteRows)
        }
      }
      try progress?(Progress("collect", completed: range.upperBound, total: source.count))
    }
    return moments
  }
}

extension QuantizationScheme.Layer {
  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> { linear.outputsFirst(weights).reshaped(to: [outputs, depth]) }
}
