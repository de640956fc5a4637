// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// X ≈ G ×₁ U₁ ×₂ U₂ … of a tensor I₁×…×I_N: a core G of R₁×…×R_N, and for each mode a factor U_n
/// I_n×R_n with orthonormal columns.
///
/// The initial value is the HOSVD: the leading left singular vectors of each unfolding. They are
/// computed by an SVD of the unfolding rather than from the eigenvectors of its Gram matrix, which
/// is cheaper but loses every direction below √ε of the largest: in single precision that is an
/// error of 3·10⁻⁴ even if the tensor has exactly the requested ranks. HOOI then improves each
/// factor in turn with the others fixed: the core's norm increases with every step, and the error
/// decreases.
public struct Tucker<T: BLASElement>: Sendable {
  /// The core, R_1×R_2×…; I_n instead of R_n for a mode left whole.
  public let core: Tensor<T>
  /// U_n, I_n×R_n; `nil` for an unreduced mode, whose factor is the identity.
  public let factors: [Tensor<T>?]
  /// ‖X − X̂‖ / ‖X‖ in the Frobenius norm; 0 for a zero tensor.
  public let relativeError: Double
  /// An upper bound of ``relativeError``, apart from rounding: the square root of the relative
  /// energy that HOSVD truncates, summed over the modes.
  public let errorBound: Double
  /// The number of HOOI sweeps that improved the fit.
  public let sweeps: Int

  /// - Parameters:
  ///   - tensor: The tensor to decompose.
  ///   - ranks: R_n for each mode, or `nil` to leave the mode unreduced (partial Tucker). A rank
  ///     above the product of the other extents of the core is reduced to it without loss: the core
  ///     has no more independent fibres than that.
  ///   - tolerance: HOOI stops once a sweep reduces the relative error by less than this.
  ///   - maximumSweeps: The maximum number of HOOI sweeps; 0 gives the plain HOSVD.
  ///   - threads: Threads for the products.
  /// - Throws: `badInput` for a tensor without elements or with NaN or infinite ones, and unless
  ///   there is a rank from 1 to I_n or `nil` for each mode; `numerical` if an SVD stalls or the
  ///   norm overflows the element type.
  /// - Complexity: O(count · Σ I_n) for HOSVD, O(count · Σ R_n) for each sweep and mode.
  /// - Source: De Lathauwer, De Moor & Vandewalle 2000, "A multilinear singular value
  ///   decomposition" and "On the best rank-1 and rank-(R₁,…,R_N) approximation".
  public init(
    _ tensor: Tensor<T>, ranks: [Int?], tolerance: Double = 1e-6, maximumSweeps: Int = 25,
    threads: Threads = .serial
  ) throws {
    let scale = try tensor.scale()
    let extents = tensor.shape.dimensions
    guard ranks.count == extents.count,
      zip(ranks, extents).allSatisfy({ (1...$1).contains($0 ?? $1) })
    else {
      let given = ranks.map { $0.map(String.init) ?? "whole" }.joined(separator: ", ")
      throw SwiftletError(
        .badInput, "ranks \(given) do not match a tensor of shape \(tensor.shape)",
        mend: "give one for each mode, from 1 to its extent")
    }
    let scaled = tensor.divided(by: scale)
    let energy = scaled.energy()
    let asked = zip(ranks, extents).map { $0 ?? $1 }
    let modes = asked.indices.filter { ranks[$0] != nil }
    let kept = asked.indices.map { mode in
      min(asked[mode], asked.indices.reduce(1) { $1 == mode ? $0 : $0 * asked[$1] })
    }

    var factors = [Tensor<T>?](repeating: nil, count: extents.count)
    var discarded = 0.0
    for mode in modes {
      let svd = try SVD(try scaled.unfolded(mode: mode))
      factors[mode] = Self.leading(svd, kept[mode])
      discarded += svd.singularValues[kept[mode]...].reduce(0) { $0 + Double($1 * $1) }
    }
    var core = Self.projected(scaled, on: factors, threads)
    var error = Self.error(core, energy)
    var sweeps = 0
    // With a single mode, HOSVD is already the best approximation.
    while sweeps < maximumSweeps, let last = modes.last, modes.count > 1 {
      var better = factors
      var partial = core
      for mode in modes {
        better[mode] = nil
        partial = Self.projected(scaled, on: better, threads)
        better[mode] = Self.leading(try SVD(try partial.unfolded(mode: mode)), kept[mode])
      }
      partial = partial.multiplied(along: last, by: better[last]!, transposed: true, threads)
      let gain = error - Self.error(partial, energy)
      // Rounding can make a sweep at the optimum slightly worse; the current factors are then as
      // good.
      guard gain > 0 else { break }
      (core, factors) = (partial, better)
      (error, sweeps) = (error - gain, sweeps + 1)
      if gain < tolerance { break }
    }
    let rest = scaled.energy(without: Self.expanded(core, factors, threads))
    relativeError = energy > 0 ? (rest / energy).squareRoot() : 0
    errorBound = energy > 0 ? (discarded / energy).squareRoot() : 0
    self.core = try core.multiplied(by: scale)
    (self.factors, self.sweeps) = (factors, sweeps)
  }

  /// X̂, I₁×…×I_N.
  public func reconstructed(threads: Threads = .serial) -> Tensor<T> {
    Self.expanded(core, factors, threads)
  }

  // MARK: Steps

  private static func leading(_ svd: SVD<T>, _ rank: Int) -> Tensor<T> {
    svd.u.slice(axis: 1, range: 0..<rank).contiguous()
  }

  private static func projected(
    _ tensor: Tensor<T>, on factors: [Tensor<T>?], _ threads: Threads
  ) -> Tensor<T> {
    multiplied(tensor, by: factors, transposed: true, threads)
  }

  private static func expanded(
    _ core: Tensor<T>, _ factors: [Tensor<T>?], _ threads: Threads
  ) -> Tensor<T> {
    multiplied(core, by: factors, transposed: false, threads)
  }

  private static func multiplied(
    _ tensor: Tensor<T>, by factors: [Tensor<T>?], transposed: Bool, _ threads: Threads
  ) -> Tensor<T> {
    var product = tensor
    for (mode, factor) in factors.enumerated() {
      guard let factor else { continue }
      product = product.multiplied(along: mode, by: factor, transposed: transposed, threads)
    }
    return product
  }

  /// The relative error that follows from a core's norm: factors are orthonormal, so the energy
  /// missing from the core is the energy missing from the approximation.
  private static func error(_ core: Tensor<T>, _ energy: Double) -> Double {
    energy > 0 ? max(0, 1 - core.energy() / energy).squareRoot() : 0
  }
}

/// The Tucker decomposition of a convolution kernel over its channels, with the spatial modes
/// unreduced: a 1×1 convolution to R_i channels, a convolution of the kernel's size, and a 1×1
/// convolution to O channels.
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
  /// - Throws: As ``Tucker/init(_:ranks:tolerance:maximumSweeps:threads:)``, which does the work;
  ///   `badInput` also for a kernel of less than two axes.
  public init(
    _ kernel: Tensor<T>, outputRank: Int, inputRank: Int, tolerance: Double = 1e-6,
    maximumSweeps: Int = 25, threads: Threads = .serial
  ) throws {
    guard kernel.shape.rank >= 2 else {
      throw SwiftletError(.badInput, "a kernel of shape \(kernel.shape) has no two channel axes")
    }
    let spatial = [Int?](repeating: nil, count: kernel.shape.rank - 2)
    let tucker = try Tucker(
      kernel, ranks: [outputRank, inputRank] + spatial, tolerance: tolerance,
      maximumSweeps: maximumSweeps, threads: threads)
    (core, relativeError) = (tucker.core, tucker.relativeError)
    (outputFactor, inputFactor) = (tucker.factors[0]!, tucker.factors[1]!)
  }
}
