import SwiftletCore
import SwiftletGraph

/// Conv k×k with O outputs → conv k×k with r outputs, then conv 1×1 with O outputs: the SVD of the
/// weights as an O × (C·k·k) matrix.
///
/// - Source: Zhang, Zou, He & Sun 2015, arXiv:1505.06798 (without their response reconstruction,
///   which ``EigenPass`` has); Denton et al. 2014.
struct LowRankPass: CompressionPass {
  private let rule: RankRule

  init(_ step: CompressionStep) { rule = RankRule(step) }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    try Factorization(technique: .lowrank, rule: rule).apply(
      to: graph, operators: ["Conv"], progress: context.progress
    ) { try Factorization.Directions(singularVectorsOf: $0, threads: context.threads.count) }
  }
}
