// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg

/// Conv k×k → k×k with r outputs, 1×1; Gemm and MatMul → two thinner ones.
///
/// The features are the leading principal components of the responses, f = Uᵣᵀ·W·x, where U
/// contains the eigenvectors of W·M·Wᵀ. This equals the SVD of the whitened weights: the left
/// singular vectors of W·M^½ are the same U. For M = 1 it is the truncated SVD.
///
/// - Source: Zhang, Zou, He & Sun 2015, arXiv:1505.06798, section 2.1; LAPACK `dsyevd`.
package struct ChannelDecomposition: Decomposition {
  private let problem: DecompositionProblem
  private let basis: Tensor<Double>
  private let energies: [Double]

  /// Computes the principal components of the layer's responses.
  ///
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  package init(_ problem: DecompositionProblem) throws {
    self.problem = problem
    let eigen = try SymmetricEigen(
      problem.responseCovariance(), threads: problem.threads)
    // Eigenvalues beyond the largest possible rank of the layer are noise.
    let rank = min(problem.layer.outputs, problem.layer.depth)
    basis = eigen.vectors
    energies = eigen.values[..<rank].map { max(0, $0) }
  }

  package var spectra: [LayerSpectrum] {
    [
      LayerSpectrum(
        energies: energies, rows: problem.layer.outputs, columns: problem.layer.depth)
    ]
  }

  package func cost(_ ranks: [Int]) -> Double { Double(ranks[0]) / problem.layer.breakEvenRank }

  package func ranks(cost: Double) -> [Int] {
    [min(energies.count, max(1, Int(cost * problem.layer.breakEvenRank)))]
  }

  package var grid: [[Int]] {
    let most = Int(problem.layer.breakEvenRank)
    let ranks = DecompositionMethod.fractions.map { DecompositionMethod.rank($0, of: most) }
    return Array(Set(ranks)).sorted().map { [min($0, energies.count)] }
  }

  package func exactRanks() throws -> [Int]? { [try problem.rank(of: problem.weights)] }

  package func fitted(_ ranks: [Int]) throws -> FittedChain {
    let (layer, rank) = (problem.layer, ranks[0])
    let leading = basis.slice(axis: 1, range: 0..<rank).contiguous()
    let features = matrixProduct(
      leading, problem.weights, transposeA: true, threads: problem.threads)
    let window = layer.isConv ? Array(layer.weight.shape.dimensions[1...]) : [layer.depth]
    let inner = FactorChain.Stage(
      weights: features.converted(to: Float.self).reshaped(to: Shape([rank] + window)), steps: .all)
    let ones = layer.isConv ? problem.kernel.map { _ in 1 } : []
    let total = energies.reduce(0, +)
    return FittedChain(
      inner: [inner], maps: [features], features: features, last: leading,
      lastShape: Shape([layer.outputs, rank] + ones), lastSteps: .none,
      error: total > 0 ? max(0, 1 - energies[..<rank].reduce(0, +) / total) : 0)
  }
}
