// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Conv k×k → k×1 with r outputs, 1×k.
///
/// The weights, as a matrix T of (channel, row) × (column, output), are reduced to rank r where the
/// responses suffer least: with C the covariance of the windows' columns, C^½·T ≈ Q·Qᵀ·C^½·T, and
/// Qᵀ·C^−½ becomes the k×1 convolution. For C = 1 this is the SVD.
///
/// - Source: Jaderberg, Vedaldi & Zisserman 2014, arXiv:1405.3866, scheme 2; Tai et al. 2016.
package struct SpatialDecomposition: Decomposition {
  private let problem: DecompositionProblem
  private let columnSteps: Int
  /// The first stage with all its outputs, ranks × (channel, row).
  private let first: Tensor<Double>
  private let regression: FeatureRegression
  package let spectra: [LayerSpectrum]

  /// Prepares the first stage for all ranks that are cheaper than the layer.
  ///
  /// - Returns: `nil` unless the layer is a convolution over two axes with more than one tap along
  ///   each.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  package init?(_ problem: DecompositionProblem) throws {
    let kernel = problem.kernel
    guard problem.layer.isConv, kernel.count == 2, kernel[0] > 1, kernel[1] > 1 else { return nil }
    self.problem = problem
    columnSteps = try SlidingWindow(problem.layer.node, kernel: kernel).strides[1]
    let (rows, columns, channels) = (kernel[0], kernel[1], problem.channels)
    // The indices of (channel, row) in the window, for each column.
    let parts = (0..<columns).map { column in
      (0..<channels).flatMap { channel in
        (0..<rows).map { (channel * rows + $0) * columns + column }
      }
    }
    let (root, inverse) = try problem.roots(of: parts)
    // (channel, row) × (output, column).
    let whitened = matrixProduct(root, Self.unfolded(problem), threads: problem.threads)
    let eigen = try SymmetricEigen(
      matrixProduct(whitened, whitened, transposeB: true, threads: problem.threads),
      threads: problem.threads)
    let rank = min(whitened.shape[0], whitened.shape[1])
    spectra = [
      LayerSpectrum(
        energies: eigen.values[..<rank].map { max(0, $0) }, rows: whitened.shape[0],
        columns: whitened.shape[1])
    ]
    let most = max(1, min(rank, Int(Self.breakEven(problem, columnSteps))))
    let leading = eigen.vectors.slice(axis: 1, range: 0..<most).contiguous()
    first = matrixProduct(leading, inverse, transposeA: true, threads: problem.threads)
    regression = FeatureRegression(problem, features: Self.features(first, problem))
  }

  private static func unfolded(_ problem: DecompositionProblem) -> Tensor<Double> {
    let (outputs, columns) = (problem.layer.outputs, problem.kernel[1])
    let rows = problem.channels * problem.kernel[0]
    return problem.weights.reshaped(to: [outputs, rows, columns]).permuted(to: [1, 0, 2])
      .contiguous().reshaped(to: [rows, outputs * columns])
  }

  package func exactRanks() throws -> [Int]? { [try problem.rank(of: Self.unfolded(problem))] }

  /// The outputs of the first stage at each column of the window, (rank, column) × depth.
  private static func features(
    _ first: Tensor<Double>, _ problem: DecompositionProblem
  ) -> Tensor<Double> {
    let (rows, columns) = (problem.kernel[0], problem.kernel[1])
    let (ranks, size, depth) = (first.shape[0], first.shape[1], problem.layer.depth)
    var result = Tensor<Double>(zeros: [ranks * columns, depth])
    let source = first.span
    var target = result.mutableSpan
    for rank in 0..<ranks {
      for column in 0..<columns {
        let start = (rank * columns + column) * depth
        for place in 0..<problem.channels * rows {
          target[start + place * columns + column] = source[rank * size + place]
        }
      }
    }
    return result
  }

  private static func breakEven(_ problem: DecompositionProblem, _ steps: Int) -> Double {
    let (rows, columns) = (problem.kernel[0], problem.kernel[1])
    return Double(problem.layer.outputs * problem.layer.depth)
      / Double(problem.channels * rows * steps + columns * problem.layer.outputs)
  }

  package func cost(_ ranks: [Int]) -> Double {
    Double(ranks[0]) / Self.breakEven(problem, columnSteps)
  }

  package func permits(_ ranks: [Int]) -> Bool { ranks[0] <= first.shape[0] && cost(ranks) < 1 }

  package func ranks(cost: Double) -> [Int] {
    [min(first.shape[0], max(1, Int(cost * Self.breakEven(problem, columnSteps))))]
  }

  package var grid: [[Int]] {
    let most = first.shape[0]
    let ranks = DecompositionMethod.fractions.map { DecompositionMethod.rank($0, of: most) }
    return Array(Set(ranks)).sorted().map { [$0] }
  }

  package func fitted(_ ranks: [Int]) throws -> FittedChain {
    let (rank, rows, columns) = (ranks[0], problem.kernel[0], problem.kernel[1])
    let count = rank * columns
    let (last, error) = try regression.solve(count)
    let stage = FactorChain.Stage(
      weights: first.slice(axis: 0, range: 0..<rank).converted(to: Float.self).contiguous()
        .reshaped(to: [rank, problem.channels, rows, 1]), steps: .first)
    let features = regression.features.slice(axis: 0, range: 0..<count).contiguous()
    return FittedChain(
      inner: [stage],
      maps: [
        features.strided(axis: 0, start: columns / 2, step: columns, count: rank).contiguous()
      ],
      features: features, last: last,
      lastShape: [problem.layer.outputs, rank, 1, columns], lastSteps: .last, error: error)
  }
}
