// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// Methods that factor a layer into a chain of smaller ones.
public enum DecompositionMethod: String, Sendable, Codable, CaseIterable {
  /// k×k to few channels, then 1×1; for Gemm and MatMul two thinner ones.
  case channel
  /// k×1 to few channels, then 1×k.
  case spatial
  /// 1×1 to few channels, k×k between few channels, then 1×1.
  case tucker
  /// 1×1 to few channels, depthwise k×k, then 1×1.
  case cp
}

/// Squared singular values, or eigenvalues, of a rows × columns matrix, descending.
package struct LayerSpectrum {
  let energies: [Double]
  let rows: Int
  let columns: Int
}

/// A method that has been prepared for one layer.
package protocol Decomposition {
  /// One spectrum for each rank; empty if the method has none.
  var spectra: [LayerSpectrum] { get }
  /// Multiply–accumulate operations of the chain over those of the layer.
  func cost(_ ranks: [Int]) -> Double
  /// Whether a chain with these ranks exists and takes fewer operations than the layer.
  func permits(_ ranks: [Int]) -> Bool
  /// The ranks at which the chain costs about the given fraction of the layer's operations.
  func ranks(cost: Double) -> [Int]
  /// Ranks to choose from, ascending.
  var grid: [[Int]] { get }
  /// The ranks at which the chain is equivalent to the layer for all inputs, so that higher ones
  /// are useless; `nil` if the method cannot determine them.
  ///
  /// - Throws: `numerical` if an eigenvalue iteration does not converge.
  func exactRanks() throws -> [Int]?
  /// The smallest ranks that keep a fraction of the energy, 0 to 1; `nil` if no such ranks are
  /// cheaper than the layer.
  func ranks(keeping energy: Double) throws -> [Int]?
  /// The chain with the given ranks, its last stage fitted by regression, and the squared error of
  /// its responses as a fraction of their variance.
  ///
  /// - Throws: `numerical` if an eigenvalue iteration does not converge.
  func fitted(_ ranks: [Int]) throws -> FittedChain
}

/// A chain, and the linear map from windows to the features that its last stage reads.
package struct FittedChain {
  /// All stages but the last.
  let inner: [FactorChain.Stage]
  /// For each inner stage the linear map from a window to the stage's outputs at one of its
  /// positions, outputs × depth.
  let maps: [Tensor<Double>]
  /// Features × depth.
  let features: Tensor<Double>
  /// Outputs × features.
  package var last: Tensor<Double>
  /// Shape of the last stage's weights, and the axes along which its window moves.
  let lastShape: Shape
  let lastSteps: FactorChain.Steps
  /// Squared error of the responses as a fraction of their variance, for the covariance of the
  /// problem.
  package let error: Double

  /// The weights of a single layer that is equivalent to the chain, outputs × depth.
  package func product(_ threads: Threads) -> Tensor<Double> {
    matrixProduct(last, features, threads: threads)
  }

  /// The chain with its last stage in fp32.
  ///
  /// - Parameter bias: One element per output, added by the last stage; `nil`: none.
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
  /// Prepares the method for a layer.
  ///
  /// - Returns: `nil` if the method does not apply to the layer.
  /// - Throws: `numerical` if an eigenvalue iteration does not converge.
  package func prepare(_ problem: DecompositionProblem) throws -> (any Decomposition)? {
    switch self {
    case .channel: try ChannelDecomposition(problem)
    case .spatial: try SpatialDecomposition(problem)
    case .tucker: try TuckerDecomposition(problem)
    case .cp: try CPDecomposition(problem)
    }
  }

  /// Whether the ranks are valid for a layer with this number of inputs, apart from the cost.
  func permits(_ ranks: [Int], inputs: Int) -> Bool {
    self != .tucker || ranks[0] <= TuckerDecomposition.mostInputs(inputs)
  }

  /// A rank of about `fraction` of `most`, at a multiple of the number of channels that kernels
  /// process at a time.
  static func rank(_ fraction: Double, of most: Int) -> Int {
    let wanted = fraction * Double(most)
    let block = most >= 64 ? 16.0 : most >= 16 ? 8 : 1
    return min(most, max(1, Int(max(block, (wanted / block).rounded() * block))))
  }

  /// Fractions of the full rank that make up a grid.
  static let fractions = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75]
}
