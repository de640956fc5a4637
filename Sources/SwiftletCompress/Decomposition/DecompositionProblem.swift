package import SwiftletCore
import SwiftletLinalg

/// A layer to decompose, and how its inputs are distributed.
///
/// All methods have the same shape: the first stages of a chain compute features of a window,
/// linearly, f = P·x, and the last stage maps these to the layer's responses, L·f. Methods differ in
/// P. Given P the best L is a regression, whatever the method: with M the covariance of the windows,
///
///     L = W·M·Pᵀ · (P·M·Pᵀ)⁺
///
/// has the least Σ ‖W·x − L·P·x‖². With M the identity this is the best approximation of the weights
/// themselves: the plain form of a method is the same arithmetic without data.
package struct DecompositionProblem {
  let layer: WeightedLayer
  /// Outputs × depth.
  package let weights: Tensor<Double>
  /// Covariance of the layer's windows, depth × depth; `nil`: the identity.
  let covariance: Tensor<Double>?
  let threads: ThreadPool

  package init(_ layer: WeightedLayer, covariance: Tensor<Double>?, threads: ThreadPool) {
    self.layer = layer
    weights = layer.matrix.converted()
    self.covariance = covariance
    self.threads = threads
  }

  /// Input channels, and taps of the window.
  var channels: Int { layer.weight.shape[1] }
  var taps: Int { layer.depth / max(1, channels) }
  var kernel: [Int] { Array(layer.weight.shape.dimensions[2...]) }

  /// rows · M.
  func weighted(_ rows: Tensor<Double>) -> Tensor<Double> {
    covariance.map { matmul(rows, $0, pool: threads) } ?? rows
  }

  /// W · M · Wᵀ, outputs × outputs: the covariance of the responses.
  func responseCovariance() -> Tensor<Double> {
    matmul(weighted(weights), weights, transposeB: true, pool: threads)
  }

  /// The covariance of parts of windows, averaged over the places where they lie.
  ///
  /// - Parameter parts: For each place the positions in a window that make up the part.
  func covariance(of parts: [[Int]]) -> Tensor<Double> {
    let size = parts[0].count
    var result = Tensor<Double>(zeros: [size, size])
    guard let covariance else {
      for i in 0..<size { result[i, i] = 1 }
      return result
    }
    let share = 1 / Double(parts.count)
    let depth = layer.depth
    let source = covariance.span
    var target = result.mutableSpan
    for part in parts {
      for (i, row) in part.enumerated() {
        for (j, column) in part.enumerated() {
          target[i * size + j] += share * source[row * depth + column]
        }
      }
    }
    return result
  }

  /// Tr(R · M · Rᵀ): the mean squared response of a layer with weights R.
  package func power(_ rows: Tensor<Double>) -> Double { rows.dot(weighted(rows)) }
}

/// Features of windows, and all that the regression of responses on them needs.
struct FeatureRegression {
  /// Features × depth.
  let features: Tensor<Double>
  /// P·M·Pᵀ and W·M·Pᵀ.
  let gram: Tensor<Double>
  let cross: Tensor<Double>
  /// Mean squared response of the layer.
  let power: Double

  init(_ problem: DecompositionProblem, features: Tensor<Double>) {
    self.features = features
    let weighted = problem.weighted(features)
    gram = matmul(weighted, features, transposeB: true, pool: problem.threads)
    cross = matmul(problem.weights, weighted, transposeB: true, pool: problem.threads)
    power = problem.power(problem.weights)
  }

  /// The best last stage for some of the features, outputs × features, and the squared error of the
  /// responses that is left, as a fraction of their variance.
  func solve(_ chosen: [Int]? = nil, threads: Int) throws -> (last: Tensor<Double>, error: Double) {
    let (gram, cross) =
      chosen.map {
        (self.gram.selecting($0, axis: 0).selecting($0, axis: 1), self.cross.selecting($0, axis: 1))
      } ?? (self.gram, self.cross)
    let inverse = try SymmetricPowers(gram, threads: threads).pseudoInverse
    let last = matmul(cross, inverse)
    return (last, power > 0 ? max(0, 1 - last.dot(cross) / power) : 0)
  }
}

extension Tensor<Double> {
  /// Σ of the products of elements at the same place.
  func dot(_ other: Tensor<Double>) -> Double {
    let (a, b) = (contiguous(), other.contiguous())
    var sum = 0.0
    for i in a.span.indices { sum += a.span[i] * b.span[i] }
    return sum
  }
}
