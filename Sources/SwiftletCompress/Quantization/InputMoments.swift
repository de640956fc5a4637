import OrderedCollections
import SwiftletBLAS
import SwiftletCore
import SwiftletGraph

/// The second moments Σ x·xᵀ of what a layer's outputs are products with: windows of its input, or
/// rows.
///
/// They say all about the squared error that changed weights make in the layer's responses,
/// Σ ‖ΔW·x‖² = tr(ΔW · Σ x·xᵀ · ΔWᵀ), in memory that does not grow with the samples.
struct InputMoments {
  /// Products per output.
  let depth: Int
  private(set) var count = 0
  /// depth × depth; the upper triangle is filled.
  private var products: Tensor<Double>

  /// Deeper layers would take too long, and more memory than models do.
  static let depthLimit = 4096
  /// Windows per image: neighbours hardly differ.
  private static let windowsPerImage = 16

  private init(depth: Int) {
    self.depth = depth
    products = Tensor(zeros: [depth, depth])
  }

  /// The mean second moments, symmetric.
  var mean: Tensor<Double> {
    var result = products
    var values = result.mutableSpan
    for i in 0..<depth {
      for j in i..<depth {
        let value = values[i * depth + j] / Double(max(1, count))
        values[i * depth + j] = value
        values[j * depth + i] = value
      }
    }
    return result
  }

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
      moments[layer.index] = InputMoments(depth: layer.depth)
      readers[layer.input, default: []].append(layer)
    }
    let plan = try Plan(graph)
    try source.forEachBatch { inputs, range in
      func observe(_ name: String, _ value: AnyTensor) throws {
        guard let layers = readers[name], let tensor: Tensor<Float> = value.typed() else { return }
        try tensor.requireFinite(name)
        for layer in layers { try moments[layer.index]!.add(tensor, layer) }
      }
      for (name, value) in inputs { try observe(name, value) }
      _ = try plan.run(inputs, ExecutionContext(pool: threads), observe: observe)
      try progress?(Progress("collect", completed: range.upperBound, total: source.count))
    }
    return moments
  }

  private mutating func add(_ input: Tensor<Float>, _ layer: QuantizationPlan.Layer) throws {
    let depth = depth
    let rows = try layer.node.opType == "Conv" ? windows(input, layer) : lines(input)
    let number = rows.count / depth
    guard number > 0 else { return }
    let matrix = Tensor([number, depth], rows).transposed().contiguous()
    var target = products.mutableSpan
    BLAS.syrk(n: depth, k: number, a: matrix.span, lda: number, beta: 1, c: &target, ldc: depth)
    count += number
  }

  private func lines(_ input: Tensor<Float>) -> [Double] {
    let number = input.count / depth
    let step = max(1, number / (Self.windowsPerImage * input.shape[0]))
    let packed = input.contiguous()
    var rows: [Double] = []
    for line in stride(from: 0, to: number, by: step) {
      let row = packed.span.extracting(line * depth..<(line + 1) * depth)
      for i in row.indices { rows.append(Double(row[i])) }
    }
    return rows
  }

  private func windows(
    _ input: Tensor<Float>, _ layer: QuantizationPlan.Layer
  ) throws -> [Double] {
    let kernel = Array(layer.weights.shape.dimensions[2...])
    let place = try SlidingWindow(layer.node, kernel: kernel).place(input.shape)
    let axes = [place.depth, place.height, place.width]
    let outputs = axes.reduce(1) { $0 * $1.output }
    let area = axes.reduce(1) { $0 * $1.input }
    let channels = input.shape[1]
    let packed = input.contiguous()
    let span = packed.span
    var rows: [Double] = []
    let taken = min(outputs, Self.windowsPerImage)
    for image in 0..<input.shape[0] {
      for index in 0..<taken {
        // Spread over the image, at other places in each of them.
        let position = (index * outputs / taken + image * 7) % outputs
        let x = position % axes[2].output
        let y = position / axes[2].output % axes[1].output
        let z = position / axes[2].output / axes[1].output
        for channel in 0..<channels {
          let start = (image * channels + channel) * area
          for kz in 0..<axes[0].kernel {
            let plane = axes[0].pixel(z, kz)
            for ky in 0..<axes[1].kernel {
              let line = axes[1].pixel(y, ky)
              for kx in 0..<axes[2].kernel {
                let column = axes[2].pixel(x, kx)
                guard let plane, let line, let column else {
                  rows.append(0)
                  continue
                }
                let offset = (plane * axes[1].input + line) * axes[2].input + column
                rows.append(Double(span[start + offset]))
              }
            }
          }
        }
      }
    }
    return rows
  }
}

extension SlidingWindow.Axis {
  /// Where a tap of the kernel lies for an output position; `nil` outside of the image.
  fileprivate func pixel(_ position: Int, _ tap: Int) -> Int? {
    let place = position * stride - before + tap * dilation
    return 0..<input ~= place ? place : nil
  }
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
