// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletGraph

/// Calibration statistics of one layer: the distribution of the windows that it reads in the model
/// as compressed so far, and its responses to the same samples in the original model.
package struct LayerStatistics {
  /// Moments of the windows, of width depth.
  package private(set) var windows: Moments
  /// Moments of the original responses, of width outputs.
  private(set) var responses: Moments
  /// Some of the windows, rows × depth, and the responses to them, rows × outputs, in the same
  /// order.
  private(set) var samples: [(windows: Tensor<Float>, responses: Tensor<Float>)] = []

  /// Empty statistics for a layer.
  package init(_ layer: WeightedLayer) {
    windows = Moments(width: layer.depth)
    responses = Moments(width: layer.outputs)
  }

  /// Adds windows and responses in the same order.
  ///
  /// - Parameters:
  ///   - rows: Windows, rows × depth.
  ///   - answers: Responses, rows × outputs.
  package mutating func add(windows rows: Tensor<Float>, responses answers: Tensor<Float>) {
    windows.add(rows)
    responses.add(answers)
    let kept = samples.reduce(0) { $0 + $1.windows.count }
    if kept + rows.count <= Self.elementLimit { samples.append((rows, answers)) }
  }

  /// Number of rows to collect: enough for covariances of this width to have full rank.
  private static func rows(for depth: Int) -> Int { max(8192, 2 * depth) }
  /// Maximum number of elements of windows to keep: 128 MB.
  private static let elementLimit = 1 << 25

  /// Collects the statistics of a layer.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - reference: The original model, which contains the layer.
  ///   - current: The model with the layers before this one compressed.
  ///   - source: The samples.
  ///   - context: Threads and progress.
  /// - Throws: `numerical` if the samples lead to values that are not finite.
  /// - Complexity: O(rows · depth²).
  static func collect(
    _ layer: WeightedLayer, reference: Graph, current: Graph, _ source: CalibrationSource,
    _ context: CompressionContext
  ) throws -> LayerStatistics {
    let perSample = max(1, (rows(for: layer.depth) + source.count - 1) / source.count)
    let rows = WindowRows(
      layer.node, kernel: Array(layer.weight.shape.dimensions[2...]),
      depth: layer.depth, perSample: perSample)
    let (input, output) = (layer.node.inputs[0], layer.node.outputs[0])
    let before = try ValueReader(reference, [output], threads: context.threads)
    let now = try ValueReader(current, [input], threads: context.threads)
    var result = LayerStatistics(layer)
    try source.forEachBatch { inputs, range in
      result.add(
        windows: try rows.inputs(now.read(inputs)[input]!),
        responses: try rows.responses(before.read(inputs)[output]!))
      try context.progress?(
        Progress(
          "collect", completed: range.upperBound, total: source.count, remark: layer.node.name))
    }
    return result
  }
}
