import SwiftletCore
import SwiftletGraph

/// Gemm → two thinner Gemms, by truncated singular value decomposition of the weights.
///
/// - Source: LAPACK `sgesdd`; Xue, Li & Gong 2013.
struct SVDPass: CompressionPass {
  private let rule: RankRule

  init(_ step: CompressionStep) { rule = RankRule(step) }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    try Factorization(technique: .svd, rule: rule).apply(
      to: graph, operators: ["Gemm"], progress: context.progress
    ) { try Factorization.Directions(singularVectorsOf: $0, threads: context.threads.count) }
  }
}
