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
    for layer in layers where try layer.isPlain && layer.depth <= depthLimit {
      let isConv = layer.node.opType == "Conv"
      let rows = WindowRows(
        layer.node, kernel: isConv ? Array(layer.weights.shape.dimensions[2...]) : [],
        depth: layer.depth)
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
  /// Number of products per output.
  var depth: Int { weights.count / outputs }

  /// Whether every output depends on every input: not a grouped convolution.
  var isPlain: Bool {
    get throws { try node.int("group", default: 1) == 1 }
  }

  /// The position of a weight in the tensor, by output and product.
  func position(_ output: Int, _ product: Int) -> Int {
    axis == 0 ? output * depth + product : product * outputs + output
  }

  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> {
    axis == 0
      ? weights.reshaped(to: [outputs, depth]) : weights.transposed().contiguous()
  }
}
