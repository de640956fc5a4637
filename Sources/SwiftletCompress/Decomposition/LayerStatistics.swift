// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletGraph

/// What calibration shows of one layer: how the windows that it reads in the model as compressed so
/// far are distributed, and what it answered to the same samples in the model before.
package struct LayerStatistics {
  package private(set) var windows: Moments
  private(set) var responses: Moments
  /// Some of the windows and responses themselves, rows in the same order.
  private(set) var samples: [(windows: Tensor<Float>, responses: Tensor<Float>)] = []

  package init(_ layer: WeightedLayer) {
    windows = Moments(width: layer.depth)
    responses = Moments(width: layer.outputs)
  }

  /// - Parameters: Rows × depth, and rows × outputs.
  package mutating func add(windows rows: Tensor<Float>, responses answers: Tensor<Float>) {
    windows.add(rows)
    responses.add(answers)
    let kept = samples.reduce(0) { $0 + $1.windows.count }
    if kept + rows.count <= Self.elementLimit { samples.append((rows, answers)) }
  }

  /// Rows to look at: enough for covariances of this width to have full rank.
  private static func rows(for depth: Int) -> Int { max(8192, 2 * depth) }
  /// Elements of windows that are kept as they are, 128 MB of them.
  private static let elementLimit = 1 << 25

  /// - Parameters:
  ///   - reference: The model before, where the layer is whole.
  ///   - current: The model with the layers before this one compressed.
  /// - Throws: `numerical` if the samples give values that are not finite.
  /// - Complexity: rows · depth².
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
          "look", completed: range.upperBound, total: source.count, remark: layer.node.name))
    }
    return result
  }
}
