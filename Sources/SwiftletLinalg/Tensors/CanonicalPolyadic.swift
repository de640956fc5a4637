// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// X ≈ Σ_r λ_r · a_r ⊗ b_r ⊗ …, a sum of R products of vectors: weights λ and for each mode a
/// factor I_n×R whose unit columns are the vectors.
///
/// Computed by alternating least squares from several starts, of which the best is kept. All steps
/// use double precision, whatever the element type: the normal equations square the condition
/// number of the factors, and single precision has no digits to spare for that.
///
/// Some tensors have no best approximation of rank R: components that grow without bound and cancel
/// out can always improve the fit (De Silva & Lim 2008). Such components are bounded and reported
/// as ``isDegenerate``; a lower or a higher rank is then the better choice.
public struct CanonicalPolyadic<T: BLASElement>: Sendable {
  /// λ, nonnegative, descending.
  public let weights: [T]
  /// I_n×R for each mode, columns of norm 1 in the order of the weights.
  public let factors: [Tensor<T>]
  /// 1 − ‖X − X̂‖ / ‖X‖ in the Frobenius norm; 1 for a zero tensor.
  public let fit: Double
  /// The number of sweeps of the best start.
  public let iterations: Int
  /// Whether it ended because the fit stagnated, rather than at the maximum number of sweeps.
  public let hasConverged: Bool
  /// Whether two components, each over half as large as the tensor, nearly cancel out.
  public let isDegenerate: Bool
  private let shape: Shape

  /// - Parameters:
  ///   - tensor: The tensor to decompose.
  ///   - rank: R, the number of components.
  ///   - restarts: Random starts, in addition to the one from the HOSVD.
  ///   - seed: Seed of the random starts.
  ///   - tolerance: A start has converged once a sweep changes its fit by less than this.
  ///   - maximumIterations: The maximum number of sweeps per start.
  ///   - threads: Threads for the products.
  /// - Throws: `badInput` for a tensor of less than two modes, without elements or with NaN or
  ///   infinite ones, and unless `rank ≥ 1`, `restarts ≥ 0` and `maximumIterations ≥ 1`;
  ///   `numerical` if an SVD stalls or a weight overflows the element type.
  /// - Complexity: O(N · count · R + Σ I_n · R² + N · R³) for each sweep and start.
  /// - Source: Carroll & Chang 1970; Harshman 1970; in the notation of Kolda & Bader 2009.
  public init(
    _ tensor: Tensor<T>, rank: Int, restarts: Int = 4, seed: UInt64 = 0,
    tolerance: Double = 1e-8, maximumIterations: Int = 1000, threads: Threads = .serial
  ) throws {
    guard tensor.shape.rank >= 2, rank >= 1, restarts >= 0, maximumIterations >= 1 else {
      throw SwiftletError(
        .badInput,
        "a tensor of shape \(tensor.shape) has no decomposition into \(rank) components by "
          + "\(restarts) restarts of \(maximumIterations) iterations",
        fix: "use two modes or more, and at least 1 component, 0 restarts and 1 iteration")
    }
    let scale = try tensor.scale()
    let scaled = tensor.divided(by: scale).widened()
    let norm = scaled.energy().squareRoot()
    let target = norm > 0 ? scaled.divided(by: norm) : scaled

    var best: AlternatingLeastSquares?
    for start in 0...restarts {
      var generator = RandomGenerator(seed: seed, stream: UInt64(start))
      var attempt = AlternatingLeastSquares(
        target,
        factors: try AlternatingLeastSquares.start(
          target, rank: rank, leading: start == 0, using: &generator),
        threads: threads)
      try attempt.run(tolerance: tolerance, maximumIterations: maximumIterations)
      if attempt.residual < best?.residual ?? .infinity { best = attempt }
      if attempt.isExact { break }
    }
    guard let best else {
      throw SwiftletError(.internal, "no start of the decomposition finished")
    }

    let (lengths, columns) = best.unitColumns()
    let model = KhatriRao.model(weights: lengths, factors: columns, shape: tensor.shape, threads)
    fit = norm > 0 ? 1 - target.energy(without: model).squareRoot() : 1
    weights = lengths.map { T($0 * norm) * scale }
    factors = columns.map(Tensor<T>.rounded)
    (iterations, hasConverged) = (best.iterations, best.hasConverged)
    (isDegenerate, shape) = (best.isDegenerate, tensor.shape)
    guard weights.allSatisfy(\.isFinite) else {
      throw SwiftletError(
        .numerical, "a weight of the decomposition is beyond the largest \(T.dtype)",
        fix: "scale the tensor down")
    }
  }

  /// X̂, I₁×…×I_N.
  public func reconstructed(threads: Threads = .serial) -> Tensor<T> {
    // The scale is applied last: sums of large components that cancel out must not overflow.
    let largest = max(weights.first ?? 0, .leastNormalMagnitude)
    let model = KhatriRao.model(
      weights: weights.map { Double($0 / largest) }, factors: factors.map { $0.widened() },
      shape: shape, threads)
    return Tensor<T>.rounded(model.map { $0 * Double(largest) })
  }
}
