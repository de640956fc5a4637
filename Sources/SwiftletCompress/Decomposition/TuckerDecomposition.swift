// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Conv k×k → 1×1 to r₁ channels, k×k to r₂ channels, 1×1.
///
/// The first stage keeps the directions of the input channels that matter most to the responses
/// (whitened by the covariance of the channels). The k×k convolution is a regression on these,
/// reduced to the r₂ principal components of its responses, which the last stage expands again.
/// With the identity as covariance this is the HOSVD over both channel axes.
///
/// - Source: Kim et al. 2016, arXiv:1511.06530.
package struct TuckerDecomposition: Decomposition {
  private let problem: DecompositionProblem
  private let inputSteps: Int
  /// The first stage with all its outputs, ranks × channels.
  private let first: Tensor<Double>
  private let regression: FeatureRegression
  /// Spectra of the input channels and of the responses.
  package let spectra: [LayerSpectrum]

  /// Prepares the first stage and the regression for all ranks.
  ///
  /// - Returns: `nil` if the window has one tap, or there are fewer than 8 input channels.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  package init?(_ problem: DecompositionProblem) throws {
    guard problem.layer.isConv, problem.taps > 1, problem.channels >= 8 else { return nil }
    self.problem = problem
    inputSteps = try SlidingWindow(problem.layer.node, kernel: problem.kernel).strides.reduce(1, *)
    let (channels, taps, outputs) = (problem.channels, problem.taps, problem.layer.outputs)
    let parts = (0..<taps).map { tap in (0..<channels).map { $0 * taps + tap } }
    let (root, inverse) = try problem.roots(of: parts)
    let whitened = matrixProduct(root, Self.unfolded(problem), threads: problem.threads)
    let eigen = try SymmetricEigen(
      matrixProduct(whitened, whitened, transposeB: true, threads: problem.threads),
      threads: problem.threads)
    let responses = try SymmetricEigen(
      problem.responseCovariance(), threads: problem.threads)
    spectra = [
      LayerSpectrum(
        energies: eigen.values.map { max(0, $0) }, rows: channels, columns: outputs * taps),
      LayerSpectrum(
        energies: responses.values.map { max(0, $0) }, rows: outputs, columns: channels * taps),
    ]
    first = matrixProduct(eigen.vectors, inverse, transposeA: true, threads: problem.threads)
    let most = first.slice(axis: 0, range: 0..<Self.mostInputs(channels)).contiguous()
    regression = FeatureRegression(problem, features: Self.features(most, taps))
  }

  private static func unfolded(_ problem: DecompositionProblem) -> Tensor<Double> {
    let (outputs, channels) = (problem.layer.outputs, problem.channels)
    return problem.weights.reshaped(to: [outputs, channels, problem.taps]).permuted(to: [1, 0, 2])
      .contiguous().reshaped(to: [channels, outputs * problem.taps])
  }

  package func exactRanks() throws -> [Int]? {
    [try problem.rank(of: Self.unfolded(problem)), try problem.rank(of: problem.weights)]
  }

  /// The largest r₁: higher ones do not pay, as a regression on all channels is the layer itself.
  static func mostInputs(_ channels: Int) -> Int { max(1, channels * 3 / 4) }

  /// The outputs of the first stage at every tap, (rank, tap) × (channel, tap).
  private static func features(_ first: Tensor<Double>, _ taps: Int) -> Tensor<Double> {
    let (ranks, channels) = (first.shape[0], first.shape[1])
    var result = Tensor<Double>(zeros: [ranks * taps, channels * taps])
    let source = first.span
    var target = result.mutableSpan
    for rank in 0..<ranks {
      for tap in 0..<taps {
        let start = (rank * taps + tap) * channels * taps
        for channel in 0..<channels {
          target[start + channel * taps + tap] = source[rank * channels + channel]
        }
      }
    }
    return result
  }

  package func cost(_ ranks: [Int]) -> Double {
    let (inputs, outputs) = (ranks[0], ranks[1])
    let sum =
      inputs * problem.channels * inputSteps + inputs * outputs * problem.taps
      + outputs * problem.layer.outputs
    return Double(sum) / Double(problem.layer.outputs * problem.layer.depth)
  }

  package func permits(_ ranks: [Int]) -> Bool {
    ranks[0] <= Self.mostInputs(problem.channels) && cost(ranks) < 1
  }

  /// Both ranks are the same fraction of their channels.
  package func ranks(cost: Double) -> [Int] {
    func ranks(_ fraction: Double) -> [Int] {
      [
        min(Self.mostInputs(problem.channels), max(1, Int(fraction * Double(problem.channels)))),
        max(1, Int(fraction * Double(problem.layer.outputs))),
      ]
    }
    var (low, high) = (0.0, 1.0)
    for _ in 0..<30 {
      let middle = (low + high) / 2
      if self.cost(ranks(middle)) <= cost { low = middle } else { high = middle }
    }
    return ranks(low)
  }

  package var grid: [[Int]] {
    let inputs = [0.25, 0.375, 0.5, 0.75].map {
      min(Self.mostInputs(problem.channels), DecompositionMethod.rank($0, of: problem.channels))
    }
    let outputs = [0.25, 0.375, 0.5, 0.75].map {
      DecompositionMethod.rank($0, of: problem.layer.outputs)
    }
    var pairs: [[Int]] = []
    for input in Set(inputs).sorted() {
      for output in Set(outputs).sorted() where cost([input, output]) < 0.9 {
        pairs.append([input, output])
      }
    }
    return pairs.sorted { cost($0) < cost($1) }
  }

  package func fitted(_ ranks: [Int]) throws -> FittedChain {
    let (inputs, outputs, taps) = (ranks[0], ranks[1], problem.taps)
    let threads = problem.threads
    let (whole, _) = try regression.solve(inputs * taps)
    // The covariance of the regression's responses.
    let gram = regression.gram(inputs * taps)
    let eigen = try SymmetricEigen(
      matrixProduct(
        matrixProduct(whole, gram, threads: threads), whole, transposeB: true, threads: threads),
      threads: threads)
    let basis = eigen.vectors.slice(axis: 1, range: 0..<outputs).contiguous()
    let core = matrixProduct(basis, whole, transposeA: true, threads: threads)
    let kept = eigen.values[..<outputs].reduce(0) { $0 + max(0, $1) }
    let source = regression.features.slice(axis: 0, range: 0..<inputs * taps).contiguous()
    let features = matrixProduct(core, source, threads: threads)
    let ones = problem.kernel.map { _ in 1 }
    return FittedChain(
      inner: [
        FactorChain.Stage(
          weights: first.slice(axis: 0, range: 0..<inputs).converted(to: Float.self).contiguous()
            .reshaped(to: Shape([inputs, problem.channels] + ones)), steps: .none),
        FactorChain.Stage(
          weights: core.converted(to: Float.self).reshaped(
            to: Shape([outputs, inputs] + problem.kernel)), steps: .all),
      ],
      maps: [
        source.strided(axis: 0, start: taps / 2, step: taps, count: inputs).contiguous(), features,
      ],
      features: features, last: basis,
      lastShape: Shape([problem.layer.outputs, outputs] + ones), lastSteps: .none,
      error: regression.power > 0 ? min(1, max(0, 1 - kept / regression.power)) : 0)
  }
}
