import SwiftletCore
import SwiftletGraph

/// The second moments Σ x·xᵀ of what a layer's outputs are products with: windows of its input, or
/// rows.
///
/// They say all about the squared error that changed weights make in the layer's responses,
/// Σ ‖ΔW·x‖² = tr(ΔW · Σ x·xᵀ · ΔWᵀ), in memory that does not grow with the samples.
struct InputMoments {
  private let rows: WindowRows
  private var moments: Moments

  /// Deeper layers would take too long, and more memory than models do.
  static let depthLimit = 4096

  private init(_ layer: QuantizationPlan.Layer) {
    let isConv = layer.node.opType == "Conv"
    rows = WindowRows(
      layer.node, kernel: isConv ? Array(layer.weights.shape.dimensions[2...]) : [],
      depth: layer.depth)
    moments = Moments(width: layer.depth)
  }

  /// The mean second moments, symmetric.
  var mean: Tensor<Double> { moments.secondMoment }

  /// Runs the samples through the graph.
  ///
  /// - Returns: The moments of each layer by its position, but for grouped and for very deep ones.
  static func collect(
    _ graph: Graph, _ layers: [QuantizationPlan.Layer], _ source: CalibrationSource,
    _ threads: ThreadPool, _ progress: Progress.Handler?
  ) throws -> [Int: InputMoments] {
    var moments: [Int: InputMoments] = [:]
    var readers: [String: [QuantizationPlan.Layer]] = [:]
    for layer in layers where try layer.isPlain && layer.depth <= depthLimit {
      moments[layer.index] = InputMoments(layer)
      readers[layer.input, default: []].append(layer)
    }
    let reader = try ValueReader(graph, Array(readers.keys), threads: threads)
    try source.forEachBatch { inputs, range in
      let values = try reader.read(inputs)
      for (name, layers) in readers {
        for layer in layers { try moments[layer.index]!.add(values[name]!) }
      }
      try progress?(Progress("collect", completed: range.upperBound, total: source.count))
    }
    return moments
  }

  private mutating func add(_ input: Tensor<Float>) throws { moments.add(try rows.inputs(input)) }
}

extension QuantizationPlan.Layer {
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
