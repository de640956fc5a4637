// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// The ways to cut a layer into a chain of smaller ones.
public enum DecompositionMethod: String, Sendable, Codable, CaseIterable {
  /// k×k to few channels, then 1×1; of Gemm and MatMul: two thinner ones.
  case channel
  /// k×1 to few channels, then 1×k.
  case spatial
  /// 1×1 to few channels, k×k between few channels, then 1×1.
  case tucker
  /// 1×1 to few channels, k×k on each of them alone (depthwise), then 1×1.
  case cp
}

/// Squared singular values, or eigenvalues, of a rows × columns matrix, descending.
package struct LayerSpectrum {
  let energies: [Double]
  let rows: Int
  let columns: Int
}

/// One method, prepared for one layer.
package protocol Decomposition {
  /// One for each rank to choose; none where no spectrum says anything about the ranks.
  var spectra: [LayerSpectrum] { get }
  /// Multiply–accumulate operations of the chain over those of the layer.
  func cost(_ ranks: [Int]) -> Double
  /// Whether there is such a chain, and it takes fewer operations than the layer.
  func permits(_ ranks: [Int]) -> Bool
  /// The ranks at which the chain costs about so much of the layer.
  func ranks(cost: Double) -> [Int]
  /// Ranks to choose among, from small to large.
  var grid: [[Int]] { get }
  /// Ranks at which the chain computes what the layer does, whatever the data: more of them are of
  /// no use. `nil` where the method cannot tell.
  func exactRanks() throws -> [Int]?
  /// The least ranks that keep a fraction of the energy; `nil` if there are none that cost less
  /// than the layer.
  func ranks(keeping energy: Double) throws -> [Int]?
  /// The chain with ranks, its last stage by regression, and the error of the responses, as a
  /// fraction of their variance.
  func fitted(_ ranks: [Int]) throws -> FittedChain
}

/// A chain, and the linear map from windows to the features that its last stage reads.
package struct FittedChain {
  /// All stages but the last.
  let inner: [FactorChain.Stage]
  /// Of each inner stage the linear map from a window to what the stage makes at one place of it,
  /// outputs × depth.
  let maps: [Tensor<Double>]
  /// Features × depth.
  let features: Tensor<Double>
  /// Outputs × features.
  package var last: Tensor<Double>
  /// What the last stage's weights are shaped like, and where it steps.
  let lastShape: Shape
  let lastSteps: FactorChain.Steps
  /// Squared error of the responses over their variance, by the problem's own covariance.
  package let error: Double

  /// The weights of one layer that would compute the same, outputs × depth.
  package func product(_ threads: Threads) -> Tensor<Double> {
    matrixProduct(last, features, threads: threads)
  }

  package func chain(bias: Tensor<Float>?) -> FactorChain {
    let stage = FactorChain.Stage(
      weights: last.converted(to: Float.self).contiguous().reshaped(to: lastShape),
      steps: lastSteps)
    return FactorChain(stages: inner + [stage], bias: bias)
  }
}

extension Decomposition {
  package func permits(_ ranks: [Int]) -> Bool { cost(ranks) < 1 }

  package func exactRanks() throws -> [Int]? { nil }

  package func ranks(keeping energy: Double) throws -> [Int]? {
    spectra.isEmpty ? nil : spectra.map { Spectrum.rank($0.energies, keeping: energy) }
  }
}

extension DecompositionMethod {
  /// - Returns: `nil` where the method makes nothing else of the layer than another one does.
  package func prepare(_ problem: DecompositionProblem) throws -> (any Decomposition)? {
    switch self {
    case .channel: try ChannelDecomposition(problem)
    case .spatial: try SpatialDecomposition(problem)
    case .tucker: try TuckerDecomposition(problem)
    case .cp: try CPDecomposition(problem)
    }
  }

  /// Whether there is such a chain of a layer that reads so many channels, if it costs less.
  func permits(_ ranks: [Int], inputs: Int) -> Bool {
    self != .tucker || ranks[0] <= TuckerDecomposition.mostInputs(inputs)
  }

  /// A rank at about `fraction` of the most, at which kernels run well: they take channels in
  /// blocks.
  static func rank(_ fraction: Double, of most: Int) -> Int {
    let wanted = fraction * Double(most)
    let block = most >= 64 ? 16.0 : most >= 16 ? 8 : 1
    return min(most, max(1, Int(max(block, (wanted / block).rounded() * block))))
  }

  /// Fractions of full ranks that grids are made of.
  static let fractions = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75]
}
