// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore
import Synchronization

/// The largest singular values of a matrix and their vectors, computed by the method expected to be
/// fastest.
public struct TruncatedSVD<T: BLASElement>: Sendable {
  /// A method for the largest part of a decomposition.
  public enum Method: String, Sendable, CaseIterable {
    /// The full decomposition, truncated.
    case full
    /// From random samples.
    case randomized
  }

  /// The largest singular values and their vectors.
  public let svd: SVD<T>
  /// What computed it.
  public let method: Method
  /// The basis of the choice; `nil` if the caller made it.
  public let prediction: SVDCost?
  /// ‖A − U·diag(s)·Vᵀ‖ / ‖A‖ in the Frobenius norm, from the norms of both; 0 for a zero matrix.
  /// Values below √ε are rounding errors.
  public let relativeError: Double

  /// Computes the `rank` largest values, with the method that ``SVDCost`` chooses if `method` is
  /// `nil`; `sampling` configures random sampling if that is used.
  ///
  /// - Throws: As ``SVD/init(_:vectors:method:threads:)``; `badInput` also unless
  ///   `1 ≤ rank ≤ min(m, n)`.
  public init(
    _ matrix: Tensor<T>, rank: Int, method: Method? = nil,
    sampling: RandomizedSVD = RandomizedSVD(), backend: LinalgBackend = .automatic(for: T.self),
    threads: Threads = .serial
  ) throws {
    try matrix.requireFiniteMatrix("truncated svd")
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    guard rank >= 1, rank <= min(m, n) else {
      throw SwiftletError(
        .badInput, "a \(m)×\(n) matrix cannot be truncated to rank \(rank)",
        fix: "use 1 to \(min(m, n))")
    }
    prediction = method == nil ? SVDCost(T.self, m: m, n: n, rank: rank, sampling) : nil
    self.method = method ?? (prediction!.prefersSampling ? .randomized : .full)
    svd =
      switch self.method {
      case .full:
        try SVD(matrix, method: backend == .lapack ? .gesdd : .swift, threads: threads)
          .truncated(to: rank)
      case .randomized:
        try sampling.svd(matrix, rank: rank, backend: backend, threads: threads)
      }
    let size = Double(try matrix.norm(.frobenius))
    let kept = svd.singularValues.reduce(0.0) {
      let ratio = size > 0 ? Double($1) / size : 1
      return $0 + ratio * ratio
    }
    relativeError = size > 0 ? max(0, 1 - kept).squareRoot() : 0
  }
}

/// The expected duration of a decomposition on this machine, in seconds: operation counts, weighted
/// by rates measured relative to a large matrix product, times the duration of such a product here,
/// which is measured once per process (a few milliseconds).
///
/// The weights come from `make bench-linalg`; see `docs/linear-algebra.md`.
public struct SVDCost: Sendable {
  /// Of the whole decomposition, cut afterwards.
  public let fullSeconds: Double
  /// Of sampling.
  public let randomizedSeconds: Double

  /// Sampling must promise to be twice as fast to be chosen, because it is less accurate.
  public var prefersSampling: Bool { randomizedSeconds * 2 < fullSeconds }

  init<T: BLASElement>(_: T.Type, m: Int, n: Int, rank: Int, _ sampling: RandomizedSVD) {
    let (long, short) = (Double(max(m, n)), Double(min(m, n)))
    let samples = min(Double(rank + sampling.oversampling), short)
    let rounds = Double(sampling.powerIterations)
    // Reduction to bidiagonal form is memory-bound; small matrices do not fill vectors.
    let weight = T.dtype == .float32 ? 1.25 : 1
    let full = weight * Self.dense(short) + Self.qrWeight * (long - short) * short * short
    let products = (4 * rounds + 4) * long * short * samples * Self.thinPenalty
    let bases = ((rounds + 1) * long + rounds * short) * samples * samples * Self.basisWeight
    let small = Self.dense(samples) + 4 * (short - samples) * samples * samples
    let rate = MachineSpeed.operationsPerSecond(T.self)
    fullSeconds = full / rate
    randomizedSeconds = (products + bases + small) / rate
  }

  /// Operations of a square decomposition, in product operations that take the same time.
  private static func dense(_ n: Double) -> Double { (21 + 2500 / (n + 1)) * n * n * n }
  /// Products with few columns run slower than large ones.
  private static let thinPenalty = 1.3
  private static let basisWeight = 55.0
  /// LAPACK's QR of a tall matrix and its Q run at a sixth of a product's speed.
  private static let qrWeight = 24.0
}

/// The speed of matrix products on this machine, on one thread.
enum MachineSpeed {
  private static let measured = Mutex<[DType: Double]>([:])

  static func operationsPerSecond<T: BLASElement>(_: T.Type) -> Double {
    measured.withLock { known in
      if let rate = known[T.dtype] { return rate }
      let size = 192
      let a = Tensor<T>([size, size], repeating: 1)
      var best = Double.infinity
      // The first product warms up; the fastest of the others was disturbed least.
      for _ in 0..<4 {
        let clock = ContinuousClock()
        let elapsed = clock.measure { _ = matrixProduct(a, a) }.components
        best = min(best, Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
      }
      let rate = 2 * Double(size * size * size) / max(best, 1e-9)
      known[T.dtype] = rate
      return rate
    }
  }
}
