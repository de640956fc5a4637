// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletLinalg

/// A layer to decompose, and the distribution of its inputs.
///
/// All methods share one form: the first stages of a chain compute linear features f = P·x of a
/// window x, and the last stage maps them to the layer's responses, L·f. Methods differ only in P.
/// For a given P, the best L is a regression: with M the covariance of the windows,
///
///     L = W·M·Pᵀ · (P·M·Pᵀ)⁺
///
/// minimizes Σ ‖W·x − L·P·x‖². If M is the identity, this is the best approximation of the weights
/// themselves, so the data-free form of a method is the same arithmetic.
package struct DecompositionProblem {
  let layer: WeightedLayer
  /// The layer's weights, outputs × depth.
  package let weights: Tensor<Double>
  /// Covariance of the layer's windows, depth × depth; `nil`: the identity.
  let covariance: Tensor<Double>?
  let threads: Threads

  /// Describes a layer with its inputs.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - covariance: Covariance of its windows, depth × depth; `nil`: the identity.
  ///   - threads: For products and eigenvalues.
  package init(_ layer: WeightedLayer, covariance: Tensor<Double>?, threads: Threads) {
    self.layer = layer
    weights = layer.matrix.converted()
    self.covariance = covariance
    self.threads = threads
  }

  /// Number of input channels; with ``taps``, the factors of the layer's depth.
  var channels: Int { layer.weight.shape[1] }
  var taps: Int { layer.depth / max(1, channels) }
  var kernel: [Int] { Array(layer.weight.shape.dimensions[2...]) }

  /// The product `rows` · M.
  func weighted(_ rows: Tensor<Double>) -> Tensor<Double> {
    covariance.map { matrixProduct(rows, $0, threads: threads) } ?? rows
  }

  /// W · M · Wᵀ, outputs × outputs: the covariance of the responses.
  func responseCovariance() -> Tensor<Double> {
    matrixProduct(weighted(weights), weights, transposeB: true, threads: threads)
  }

  /// The covariance of parts of the window, averaged over the parts.
  ///
  /// - Parameter parts: For each part the indices of its elements in the window.
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

  /// The square root of the covariance of parts of the window, and its pseudoinverse.
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

  /// The numerical rank of the weights, or of an unfolding of them, in fp32.
  ///
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  func rank(of matrix: Tensor<Double>) throws -> Int {
    let isWide = matrix.shape[0] < matrix.shape[1]
    let gram = matrixProduct(
      matrix, matrix, transposeA: !isWide, transposeB: isWide, threads: threads)
    let values = try SymmetricEigen.values(of: gram, threads: threads)
    let limit = (values.first ?? 0) * Self.roundingEnergy
    return max(1, values.count { $0 > limit })
  }

  /// Squared singular values below this fraction of the largest one are rounding errors of fp32.
  private static let roundingEnergy = 1e-12
  /// A chain is equivalent to the layer if the squared difference of the weights is below this
  /// fraction.
  private static let exactError = 1e-10

  /// Whether a chain is equivalent to the layer for all inputs, not only for these data.
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

  /// Tr(R · M · Rᵀ), the mean squared response of a layer with weights R, rows × depth.
  package func power(_ rows: Tensor<Double>) -> Double { rows.dot(weighted(rows)) }
}

/// Linear features of windows, and the matrices for the regression of responses on them.
struct FeatureRegression {
  /// Features × depth.
  let features: Tensor<Double>
  /// P·M·Pᵀ, features × features.
  let gram: Tensor<Double>
  /// W·M·Pᵀ, outputs × features.
  let cross: Tensor<Double>
  /// Mean squared response of the layer.
  let power: Double
  /// Cholesky factor of P·M·Pᵀ, whose leading block is the factor of the leading features; `nil` if
  /// it is singular.
  private let triangle: Tensor<Double>?
  private let threads: Threads

  /// Added to the variances of the features, as a fraction of their mean: smaller ones are noise.
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

  /// The block of P·M·Pᵀ for the leading features.
  func gram(_ count: Int) -> Tensor<Double> { Self.leading(gram, count) }

  private static func leading(_ matrix: Tensor<Double>, _ count: Int) -> Tensor<Double> {
    matrix.slice(axis: 0, range: 0..<count).slice(axis: 1, range: 0..<count).contiguous()
  }

  /// The best last stage for the leading features, outputs × features, and the remaining squared
  /// error of the responses as a fraction of their variance.
  ///
  /// - Throws: `numerical` if the eigenvalue iteration does not converge. It is used only if
  ///   linearly dependent features prevent a Cholesky factorization.
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
  /// Sum of the products of corresponding elements.
  func dot(_ other: Tensor<Double>) -> Double {
    let (a, b) = (contiguous(), other.contiguous())
    var sum = 0.0
    for i in a.span.indices { sum += a.span[i] * b.span[i] }
    return sum
  }
}
