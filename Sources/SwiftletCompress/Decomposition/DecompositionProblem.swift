// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletLinalg

/// A layer to decompose, and how its inputs are distributed.
///
/// All methods have the same shape: the first stages of a chain compute features of a window,
/// linearly, f = P·x, and the last stage maps these to the layer's responses, L·f. Methods differ
/// in P. Given P the best L is a regression, whatever the method: with M the covariance of the
/// windows,
///
///     L = W·M·Pᵀ · (P·M·Pᵀ)⁺
///
/// has the least Σ ‖W·x − L·P·x‖². With M the identity this is the best approximation of the
/// weights themselves: the plain form of a method is the same arithmetic without data.
package struct DecompositionProblem {
  let layer: WeightedLayer
  /// Outputs × depth.
  package let weights: Tensor<Double>
  /// Covariance of the layer's windows, depth × depth; `nil`: the identity.
  let covariance: Tensor<Double>?
  let threads: Threads

  package init(_ layer: WeightedLayer, covariance: Tensor<Double>?, threads: Threads) {
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
    covariance.map { matrixProduct(rows, $0, threads: threads) } ?? rows
  }

  /// W · M · Wᵀ, outputs × outputs: the covariance of the responses.
  func responseCovariance() -> Tensor<Double> {
    matrixProduct(weighted(weights), weights, transposeB: true, threads: threads)
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

  /// The root of the covariance of parts of windows, and its inverse on the directions that there
  /// are.
  func roots(
    of parts: [[Int]]
  ) throws -> (root: Tensor<Double>, inverse: Tensor<Double>) {
    guard covariance != nil else {
      let identity = covariance(of: [parts[0]])
      return (identity, identity)
    }
    let powers = try SymmetricPowers(covariance(of: parts), threads: threads)
    return (powers.root, powers.inverseRoot)
  }

  /// The rank of weights, or of an unfolding of them, as far as fp32 tells it.
  ///
  /// - Throws: `numerical` if the eigenvalue iteration stalls.
  func rank(of matrix: Tensor<Double>) throws -> Int {
    let isWide = matrix.shape[0] < matrix.shape[1]
    let gram = matrixProduct(
      matrix, matrix, transposeA: !isWide, transposeB: isWide, threads: threads)
    let values = try SymmetricEigen.values(of: gram, threads: threads)
    let limit = (values.first ?? 0) * Self.roundingEnergy
    return max(1, values.count { $0 > limit })
  }

  /// Squared singular values of this fraction of the largest one are rounding of fp32.
  private static let roundingEnergy = 1e-12
  /// Chains whose weights differ by less from the layer's, squared and as a fraction, compute the
  /// same.
  private static let exactError = 1e-10

  /// Whether a chain computes what the layer does, not to these data alone.
  func isExact(_ fitted: FittedChain) -> Bool {
    guard fitted.error < 1e-6 else { return false }
    let product = fitted.product(threads)
    var (error, sum) = (0.0, 0.0)
    for i in weights.span.indices {
      let difference = weights.span[i] - product.span[i]
      error += difference * difference
      sum += weights.span[i] * weights.span[i]
    }
    return error <= Self.exactError * sum
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
  /// Of P·M·Pᵀ, whose leading part is that of the leading features; `nil` where it has none.
  private let triangle: Tensor<Double>?
  private let threads: Threads

  /// Added to the features' variances, as a fraction of their mean: what is below it is noise.
  private static let damping = 1e-9

  init(_ problem: DecompositionProblem, features: Tensor<Double>) {
    self.features = features
    threads = problem.threads
    let weighted = problem.weighted(features)
    gram = matrixProduct(weighted, features, transposeB: true, threads: problem.threads)
    cross = matrixProduct(problem.weights, weighted, transposeB: true, threads: problem.threads)
    power = problem.power(problem.weights)
    let count = gram.shape[0]
    var damped = gram
    var trace = 0.0
    for i in 0..<count { trace += gram[i, i] }
    for i in 0..<count { damped[i, i] += trace / Double(max(1, count)) * Self.damping }
    triangle = try? Cholesky(damped, threads: problem.threads).l
  }

  /// The leading features' own part of P·M·Pᵀ.
  func gram(_ count: Int) -> Tensor<Double> { Self.leading(gram, count) }

  private static func leading(_ matrix: Tensor<Double>, _ count: Int) -> Tensor<Double> {
    matrix.slice(axis: 0, range: 0..<count).slice(axis: 1, range: 0..<count).contiguous()
  }

  /// The best last stage for the leading features, outputs × features, and the squared error of the
  /// responses that is left, as a fraction of their variance.
  ///
  /// - Throws: `numerical` if the eigenvalue iteration stalls, which takes over where features that
  ///   depend on each other leave no triangle.
  func solve(_ count: Int) throws -> (last: Tensor<Double>, error: Double) {
    let cross = cross.slice(axis: 1, range: 0..<count).contiguous()
    let last: Tensor<Double>
    if let triangle {
      var solution = cross.transposed().contiguous()
      let leading = Self.leading(triangle, count)
      leading.solveTriangular(isLower: true, &solution)
      leading.solveTriangular(isLower: true, transposed: true, &solution)
      last = solution.transposed().contiguous()
    } else {
      let inverse = try SymmetricPowers(gram(count), threads: threads).pseudoInverse
      last = matrixProduct(cross, inverse, threads: threads)
    }
    return (last, power > 0 ? min(1, max(0, 1 - last.dot(cross) / power)) : 0)
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
