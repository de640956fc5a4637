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
