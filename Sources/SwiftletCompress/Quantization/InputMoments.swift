// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// The second moments Σ x·xᵀ of what a layer's outputs are products with: windows of its input, or
/// rows.
///
/// They say all about the squared error that changed weights make in the layer's responses, Σ
/// ‖ΔW·x‖² = tr(ΔW · Σ x·xᵀ · ΔWᵀ), in memory that does not grow with the samples. Those of layers
/// that share weights add up.
enum InputMoments {
  /// Deeper layers would take too long, and more memory than models do.
  static let depthLimit = 4096

  /// Runs the samples through the graph. Rows that hold NaN or infinite elements are left out.
  ///
  /// - Parameter key: What layers with the same weights have in common.
  /// - Returns: The moments by key, but for grouped and for very deep layers.
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
  /// Products per output.
  var depth: Int { weights.count / outputs }

  /// Whether all outputs see all inputs.
  var isPlain: Bool {
    get throws { try node.int("group", default: 1) == 1 }
  }

  /// The position of a weight, by output and product.
  func position(_ output: Int, _ product: Int) -> Int {
    axis == 0 ? output * depth + product : product * outputs + output
  }

  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> {
    axis == 0
      ? weights.reshaped(to: [outputs, depth]) : weights.transposed().contiguous()
  }
}
