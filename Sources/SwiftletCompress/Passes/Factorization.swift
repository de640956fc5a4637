import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Walks the layers of a graph and replaces those that a method factors: what the factoring passes
/// have in common.
struct Factorization {
  let technique: Technique
  let rule: RankRule

  /// A layer's directions by importance, and its factors at a chosen rank.
  struct Directions {
    /// Squared singular values, or variances, descending.
    let energies: [Double]
    let factors: (_ rank: Int) -> Factors
  }

  /// left · (right · x) + bias.
  struct Factors {
    let left: Tensor<Float>
    let right: Tensor<Float>
    let bias: Tensor<Float>?
  }

  /// - Parameters:
  ///   - operators: The layers the method is for; others are not mentioned in the report.
  ///   - directions: Finds the directions of one layer.
  func apply(
    to graph: Graph, operators: Set<String>, progress: Progress.Handler?,
    directions: (WeightedLayer) throws -> Directions
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var result = graph
    var layers: [LayerReport] = []
    let candidates = graph.nodes.filter { operators.contains($0.opType) }
    for (position, node) in candidates.enumerated() {
      try progress?(
        Progress(
          technique.rawValue, completed: position, total: candidates.count, remark: node.name))
      switch try WeightedLayer.find(node, in: graph) {
      case nil: continue
      case .refusal(let reason):
        layers.append(LayerReport(node, technique, changed: false, reason))
      case .layer(let layer):
        let found = try locating(node.label) { try directions(layer) }
        layers.append(replace(layer, found, in: &result))
      }
    }
    guard !layers.isEmpty else {
      throw SwiftletError(
        .unsupported, "the model has no layer that technique '\(technique.rawValue)' is for")
    }
    result.removeUnusedInitializers()
    return (result, layers)
  }

  private func replace(
    _ layer: WeightedLayer, _ directions: Directions, in graph: inout Graph
  ) -> LayerReport {
    let rank: Int
    switch rule.choose(layer, directions.energies) {
    case .keep(let reason): return LayerReport(layer.node, technique, changed: false, reason)
    case .rank(let chosen): rank = chosen
    }
    let factors = directions.factors(rank)
    guard let index = graph.nodes.firstIndex(of: layer.node) else {
      preconditionFailure("\(layer.node.label) was found in the graph and must still be there")
    }
    layer.replace(
      at: index, in: &graph, right: factors.right, left: factors.left, bias: factors.bias)
    let kind = layer.isConv ? "convolution and 1×1 convolution" : "two Gemms"
    var report = LayerReport(layer.node, technique, changed: true, kind)
    report.rank = rank
    report.fullRank = directions.energies.count
    report.energy = Spectrum.energy(directions.energies, rank: rank)
    return report
  }
}

extension Factorization.Directions {
  /// The directions of a layer's weights alone, by SVD.
  init(singularVectorsOf layer: WeightedLayer, threads: Int) throws {
    let svd = try SVD(layer.matrix, threads: threads)
    energies = svd.singularValues.map { Double($0) * Double($0) }
    factors = { rank in
      let (left, right) = svd.truncated(to: rank).balancedFactors
      return Factorization.Factors(left: left, right: right, bias: layer.bias)
    }
  }
}
