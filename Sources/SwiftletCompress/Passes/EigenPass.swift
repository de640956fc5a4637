import SwiftletBLAS
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Conv or Gemm → two thinner layers along the principal components of the layer's responses.
///
/// The responses y = W·x + b to real images span few directions. With the leading eigenvectors P of
/// their covariance and their mean ȳ, y ≈ P·Pᵀ·(y − ȳ) + ȳ, so that PᵀW replaces W, and P the rest.
///
/// - Source: Zhang, Zou, He & Sun 2015, arXiv:1505.06798, section 2.1 (linear case); LAPACK
///   `dsyevd`.
struct EigenPass: CompressionPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let responses = try collect(graph, context)
    return try Factorization(technique: .eigen, rule: RankRule(step)).apply(
      to: graph, operators: WeightedLayer.operators,
      progress: context.progress
    ) { layer in
      guard let statistics = responses[layer.node.outputs[0]] else {
        throw SwiftletError(.internal, "no responses were seen")
      }
      return try directions(layer, statistics, threads: context.threads.count)
    }
  }

  private func collect(
    _ graph: Graph, _ context: CompressionContext
  ) throws -> [String: ResponseStatistics] {
    var statistics: [String: ResponseStatistics] = [:]
    for node in graph.nodes where WeightedLayer.operators.contains(node.opType) {
      statistics[node.outputs[0]] = ResponseStatistics()
    }
    try context.observe(graph, images: step.calibrationImages) { name, value in
      guard statistics[name] != nil, let responses: Tensor<Float> = value.typed() else { return }
      try locating("value '\(name)'") { try statistics[name]!.add(responses) }
    }
    return statistics
  }

  private func directions(
    _ layer: WeightedLayer, _ statistics: ResponseStatistics, threads: Int
  ) throws -> Factorization.Directions {
    let eigen = try SymmetricEigen(statistics.covariance, threads: threads)
    let mean = statistics.mean
    return Factorization.Directions(energies: eigen.values.map { max(0, $0) }) { rank in
      let basis = eigen.vectors.slice(axis: 1, range: 0..<rank).contiguous()
      let right = matmul(
        basis, layer.matrix.converted(to: Double.self), transposeA: true)
      // P·Pᵀ·(b − ȳ) + ȳ
      let bias = layer.bias?.converted(to: Double.self) ?? Tensor(zeros: [layer.outputs])
      var centred = bias
      for i in 0..<layer.outputs { centred[i] -= mean[i] }
      let column = centred.reshaped(to: [layer.outputs, 1])
      let projected = matmul(basis, matmul(basis, column, transposeA: true))
      var shift = projected.reshaped(to: [layer.outputs])
      for i in 0..<layer.outputs { shift[i] += mean[i] }
      return Factorization.Factors(
        left: basis.converted(), right: right.converted(), bias: shift.converted())
    }
  }
}

/// Mean and covariance of a layer's outputs over images and positions, in double precision.
struct ResponseStatistics {
  private var count = 0
  private var sums: [Double] = []
  /// Σ y·yᵀ, upper triangle.
  private var products = Tensor<Double>(zeros: [0, 0])

  /// Adds responses N×C or N×C×H×W.
  ///
  /// - Throws: `badInput` if they are not finite.
  mutating func add(_ responses: Tensor<Float>) throws {
    guard responses.isFinite else {
      throw SwiftletError(.numerical, "the calibration images give NaN or infinite responses")
    }
    let channels = responses.shape[1]
    if sums.isEmpty {
      sums = [Double](repeating: 0, count: channels)
      products = Tensor(zeros: [channels, channels])
    }
    let area = responses.shape.count(of: 2..<responses.shape.rank)
    let packed = responses.contiguous()
    var matrix = Tensor<Double>(uninitialized: [channels, area])
    for image in 0..<responses.shape[0] {
      let start = image * channels * area
      let source = packed.span.extracting(start..<start + channels * area)
      var values = matrix.mutableSpan
      for i in source.indices { values[i] = Double(source[i]) }
      for channel in 0..<channels {
        for i in channel * area..<(channel + 1) * area { sums[channel] += values[i] }
      }
      var target = products.mutableSpan
      BLAS.syrk(
        n: channels, k: area, a: matrix.span, lda: area, beta: 1, c: &target, ldc: channels)
    }
    count += responses.shape[0] * area
  }

  var mean: [Double] { sums.map { $0 / Double(max(1, count)) } }

  /// The covariance matrix, upper triangle.
  var covariance: Tensor<Double> {
    let mean = mean
    var result = products
    for i in mean.indices {
      for j in i..<mean.count {
        result[i, j] = result[i, j] / Double(max(1, count)) - mean[i] * mean[j]
      }
    }
    return result
  }
}
