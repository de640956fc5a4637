public import SwiftletBLAS
public import SwiftletCore

/// X ≈ G ×₁ U₁ ×₂ U₂ … of a tensor I₁×…×I_N: a core G of R₁×…×R_N, and for each mode a factor U_n
/// I_n×R_n with orthonormal columns.
///
/// The start is the HOSVD: the leading left singular vectors of each unfolding. They come from an
/// SVD of the unfolding, not from the eigenvectors of its Gram matrix, which are cheaper but lose
/// every direction below √ε of the largest: in single precision that is an error of 3·10⁻⁴ in
/// tensors that have the asked ranks exactly. HOOI then improves each factor in turn with the
/// others held: the core's norm grows with every step, and with it falls the error.
public struct Tucker<T: BLASElement>: Sendable {
  public let core: Tensor<T>
  /// U_n, I_n×R_n; the identity for a mode left whole.
  public let factors: [Tensor<T>]
  /// ‖X − X̂‖ / ‖X‖ in the Frobenius norm; 0 for a zero tensor.
  public let relativeError: Double
  /// What ``relativeError`` cannot exceed, rounding apart: the root of the relative energy that
  /// HOSVD cuts off, added up over the modes.
  public let errorBound: Double
  /// The HOOI sweeps that improved the fit.
  public let sweeps: Int
  /// The modes that have a factor other than the identity.
  private let modes: [Int]

  /// - Parameters:
  ///   - tensor: What is decomposed.
  ///   - ranks: R_n for each mode, or `nil` to leave the mode whole (partial Tucker). A rank above
  ///     the product of the other extents of the core is cut to it, which costs nothing: the core
  ///     has no more independent fibres than that.
  ///   - tolerance: HOOI stops once a sweep lowers the relative error by less.
  ///   - maximumSweeps: The HOOI sweeps to make; 0 gives the plain HOSVD.
  ///   - pool: Threads for the products.
  /// - Precondition: A rank or `nil` for each mode; ranks from 1 to I_n.
  /// - Throws: `badInput` for a tensor without elements or with NaN or infinite ones; `numerical`
  ///   if an SVD stalls or the norm overflows the element type.
  /// - Complexity: O(count · Σ I_n) for HOSVD, O(count · Σ R_n) for each sweep and mode.
  /// - Source: De Lathauwer, De Moor & Vandewalle 2000, "A multilinear singular value
  ///   decomposition" and "On the best rank-1 and rank-(R₁,…,R_N) approximation".
  public init(
    _ tensor: Tensor<T>, ranks: [Int?], tolerance: Double = 1e-6, maximumSweeps: Int = 25,
    pool: ThreadPool = .serial
  ) throws {
    let scale = try tensor.scale()
    let extents = tensor.shape.dimensions
    precondition(ranks.count == extents.count, "\(ranks.count) ranks for shape \(tensor.shape)")
    precondition(
      zip(ranks, extents).allSatisfy { (1...$1).contains($0 ?? $1) },
      "ranks \(ranks) for shape \(tensor.shape)")
    let scaled = tensor.divided(by: scale)
    let energy = scaled.energy()
    let asked = zip(ranks, extents).map { $0 ?? $1 }
    let modes = asked.indices.filter { ranks[$0] != nil }
    let kept = asked.indices.map { mode in
      min(asked[mode], asked.indices.reduce(1) { $1 == mode ? $0 : $0 * asked[$1] })
    }

    var factors = extents.map(Self.identity)
    var discarded = 0.0
    for mode in modes {
      let svd = try SVD(scaled.unfolded(mode: mode))
      factors[mode] = Self.leading(svd, kept[mode])
      discarded += svd.singularValues[kept[mode]...].reduce(0) { $0 + Double($1 * $1) }
    }
    var core = Self.projected(scaled, on: factors, modes: modes, pool)
    var error = Self.error(core, energy)
    var sweeps = 0
    // With one mode only, HOSVD is the best approximation already.
    while sweeps < maximumSweeps, let last = modes.last, modes.count > 1 {
      var better = factors
      var partial = core
      for mode in modes {
        partial = Self.projected(scaled, on: better, modes: modes.filter { $0 != mode }, pool)
        better[mode] = Self.leading(try SVD(partial.unfolded(mode: mode)), kept[mode])
      }
      partial = partial.modeProduct(better[last], mode: last, transposed: true, pool: pool)
      let gain = error - Self.error(partial, energy)
      // Rounding can let a sweep at the optimum lose a little; what is there is then as good.
      guard gain > 0 else { break }
      (core, factors) = (partial, better)
      (error, sweeps) = (error - gain, sweeps + 1)
      if gain < tolerance { break }
    }
    let rest = scaled.energy(without: Self.expanded(core, factors, modes, pool))
    relativeError = energy > 0 ? (rest / energy).squareRoot() : 0
    errorBound = energy > 0 ? (discarded / energy).squareRoot() : 0
    self.core = try core.multiplied(by: scale)
    (self.factors, self.modes, self.sweeps) = (factors, modes, sweeps)
  }

  /// X̂, I₁×…×I_N.
  public func reconstructed(pool: ThreadPool = .serial) -> Tensor<T> {
    Self.expanded(core, factors, modes, pool)
  }

  // MARK: Steps

  private static func identity(_ n: Int) -> Tensor<T> {
    var identity = Tensor<T>(zeros: [n, n])
    var span = identity.mutableSpan
    for i in 0..<n { span[i * n + i] = 1 }
    return identity
  }

  private static func leading(_ svd: SVD<T>, _ rank: Int) -> Tensor<T> {
    svd.u.slice(axis: 1, range: 0..<rank).contiguous()
  }

  private static func projected(
    _ tensor: Tensor<T>, on factors: [Tensor<T>], modes: [Int], _ pool: ThreadPool
  ) -> Tensor<T> {
    modes.reduce(tensor) {
      $0.modeProduct(factors[$1], mode: $1, transposed: true, pool: pool)
    }
  }

  private static func expanded(
    _ core: Tensor<T>, _ factors: [Tensor<T>], _ modes: [Int], _ pool: ThreadPool
  ) -> Tensor<T> {
    modes.reduce(core) { $0.modeProduct(factors[$1], mode: $1, pool: pool) }
  }

  /// The relative error that a core's norm tells: factors are orthonormal, so that what the core
  /// lacks in energy is what the approximation lacks.
  private static func error(_ core: Tensor<T>, _ energy: Double) -> Double {
    energy > 0 ? max(0, 1 - core.energy() / energy).squareRoot() : 0
  }
}

/// The Tucker decomposition of a convolution's kernel over its channels, spatial modes whole: a
/// 1×1 convolution to R_i channels, a small one of the kernel's size, a 1×1 convolution to O
/// channels.
///
/// - Source: Kim et al. 2016, "Compression of deep convolutional neural networks for fast and low
///   power mobile applications".
public struct Tucker2<T: BLASElement>: Sendable {
  /// R_o×R_i×kH×kW.
  public let core: Tensor<T>
  /// O×R_o, orthonormal columns.
  public let outputFactor: Tensor<T>
  /// I×R_i, orthonormal columns.
  public let inputFactor: Tensor<T>
  /// ‖K − K̂‖ / ‖K‖.
  public let relativeError: Double

  /// The kernel is O×I×kH×kW, or O×I and any other spatial extents.
  ///
  /// - Precondition: Rank 2 or more; ranks from 1 to O and to I.
  /// - Throws: As ``Tucker/init(_:ranks:tolerance:maximumSweeps:pool:)``, which does the work.
  public init(
    _ kernel: Tensor<T>, outputRank: Int, inputRank: Int, tolerance: Double = 1e-6,
    maximumSweeps: Int = 25, pool: ThreadPool = .serial
  ) throws {
    precondition(kernel.shape.rank >= 2, "a kernel of shape \(kernel.shape)")
    let spatial = [Int?](repeating: nil, count: kernel.shape.rank - 2)
    let tucker = try Tucker(
      kernel, ranks: [outputRank, inputRank] + spatial, tolerance: tolerance,
      maximumSweeps: maximumSweeps, pool: pool)
    (core, relativeError) = (tucker.core, tucker.relativeError)
    (outputFactor, inputFactor) = (tucker.factors[0], tucker.factors[1])
  }
}
