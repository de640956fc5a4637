// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Conv k×k → 1×1 to r channels, depthwise k×k, 1×1.
///
/// The weights, as a tensor of outputs × channels × taps with whitened channels, are approximated
/// by a sum of r rank-one tensors; the last stage is then a regression. Unlike Lebedev et al., who
/// separate rows and columns too, the taps stay together: one depthwise layer reads and writes the
/// image once.
///
/// - Source: Lebedev et al. 2015, arXiv:1412.6553.
package struct CPDecomposition: Decomposition {
  private let problem: DecompositionProblem
  private let inputSteps: Int
  private let inverseRoot: Tensor<Double>
  private let whitened: Tensor<Double>
  /// Empty: a CP decomposition has no spectrum.
  package let spectra: [LayerSpectrum] = []

  /// More weights than this would take minutes of alternating least squares.
  private static let weightLimit = 1 << 19
  private static let sweeps = 40

  /// Prepares the whitened weights of a convolution.
  ///
  /// - Returns: `nil` if the window has one tap, there are fewer than 8 input channels, or the
  ///   layer is very large.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  package init?(_ problem: DecompositionProblem) throws {
    guard problem.layer.isConv, problem.taps > 1, problem.channels >= 8,
      problem.weights.count <= Self.weightLimit
    else { return nil }
    self.problem = problem
    inputSteps = try SlidingWindow(problem.layer.node, kernel: problem.kernel).strides.reduce(1, *)
    let (channels, taps, outputs) = (problem.channels, problem.taps, problem.layer.outputs)
    let parts = (0..<taps).map { tap in (0..<channels).map { $0 * taps + tap } }
    let (root, inverse) = try problem.roots(of: parts)
    inverseRoot = inverse
    let unfolded = problem.weights.reshaped(to: [outputs, channels, taps])
      .permuted(to: [1, 0, 2]).contiguous().reshaped(to: [channels, outputs * taps])
    let product = matrixProduct(root, unfolded, threads: problem.threads)
    whitened = product.reshaped(to: [channels, outputs, taps])
  }

  package func cost(_ ranks: [Int]) -> Double {
    let perRank = problem.channels * inputSteps + problem.taps + problem.layer.outputs
    return Double(ranks[0] * perRank) / Double(problem.layer.outputs * problem.layer.depth)
  }

  package func ranks(cost: Double) -> [Int] {
    [max(1, Int(cost / self.cost([1])))]
  }

  package var grid: [[Int]] {
    let most = max(problem.channels, problem.layer.outputs)
    let few = Set([0.125, 0.25, 0.5].map { DecompositionMethod.rank($0, of: most) }).sorted()
    return (few + [most, most * 3 / 2, 2 * most]).map { [$0] }.filter { cost($0) < 0.75 }
  }

  /// Without a spectrum, ranks are tried by bisection.
  package func ranks(keeping energy: Double) throws -> [Int]? {
    var (low, high) = (0, Int((1 / cost([1])).rounded(.up)) - 1)
    guard high > 0, try fitted([high]).error <= 1 - energy else { return nil }
    // Stop within an eighth of the rank: each trial is a decomposition.
    while high - low > max(1, high / 8) {
      let middle = (low + high) / 2
      if try fitted([middle]).error <= 1 - energy { high = middle } else { low = middle }
    }
    return [high]
  }

  package func fitted(_ ranks: [Int]) throws -> FittedChain {
    let rank = ranks[0]
    let (channels, taps) = (problem.channels, problem.taps)
    let sum = try CanonicalPolyadic(
      whitened, rank: rank, restarts: 0, tolerance: 1e-5, maximumIterations: Self.sweeps,
      threads: problem.threads)
    // Channels × rank, with the whitening undone.
    let inputs = matrixProduct(inverseRoot, sum.factors[0], threads: problem.threads)
    let windows = sum.factors[2]
    var features = Tensor<Double>(zeros: [rank, channels * taps])
    var centre = features
    for component in 0..<rank {
      for channel in 0..<channels {
        centre[component, channel * taps + taps / 2] = inputs[channel, component]
        for tap in 0..<taps {
          features[component, channel * taps + tap] =
            inputs[channel, component] * windows[tap, component]
        }
      }
    }
    let (last, error) = try FeatureRegression(problem, features: features)
      .solve(rank)
    let ones = problem.kernel.map { _ in 1 }
    func stage(_ factor: Tensor<Double>, _ shape: [Int]) -> Tensor<Float> {
      factor.transposed().contiguous().converted(to: Float.self).reshaped(to: Shape([rank] + shape))
    }
    return FittedChain(
      inner: [
        FactorChain.Stage(weights: stage(inputs, [channels] + ones), steps: .none),
        FactorChain.Stage(
          weights: stage(windows, [1] + problem.kernel), steps: .all, groups: rank),
      ],
      maps: [centre, features], features: features, last: last,
      lastShape: Shape([problem.layer.outputs, rank] + ones), lastSteps: .none, error: error)
  }
}
