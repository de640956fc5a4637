// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// Singular value decompositions from random samples of the range: a few products with the matrix
/// instead of a full decomposition.
///
/// - Source: Halko, Martinsson & Tropp, "Finding structure with randomness" (2011).
public struct RandomizedSVD: Sendable {
  /// Samples beyond the requested rank.
  public let oversampling: Int
  /// Additional rounds through Aᵀ and A, each of which increases the gap between the sampled values
  /// and the rest: none for rapidly decaying spectra, two or more for flat ones.
  public let powerIterations: Int
  /// The seed of the samples; the same seed gives the same result.
  public let seed: UInt64

  /// The decompositions reject negative numbers.
  public init(oversampling: Int = 10, powerIterations: Int = 2, seed: UInt64 = 0) {
    self.oversampling = oversampling
    self.powerIterations = powerIterations
    self.seed = seed
  }

  /// Approximates the `rank` largest singular values and their vectors.
  ///
  /// - Throws: `badInput` for NaN or infinite elements, or unless `1 ≤ rank ≤ min(m, n)`;
  ///   `numerical` if the small decomposition does not converge; `outOfMemory`.
  /// - Complexity: 4·(powerIterations + 1)·m·n·l operations for l = rank + oversampling samples;
  ///   memory: 2·(m + n)·l elements.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public func svd<T: BLASElement>(
    _ matrix: Tensor<T>, rank: Int, backend: LinalgBackend = .automatic(for: T.self),
    threads: Threads = .serial
  ) throws -> SVD<T> {
    try matrix.requireMatrix("randomized svd")
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    guard rank >= 1, rank <= min(m, n) else {
      throw SwiftletError(
        .badInput, "a \(m)×\(n) matrix cannot be truncated to rank \(rank)",
        fix: "use 1 to \(min(m, n))")
    }
    try requireCounts()
    let samples = min(rank + oversampling, min(m, n))
    try MemoryLimit.require(
      4 * Double(samples) * Double(m + n)
        + (matrix.isContiguous ? 0 : Double(m) * Double(n)), of: T.self,
      for: "randomized svd of \(matrix.shape)")
    try matrix.requireFiniteMatrix("randomized svd")
    var a = matrix.contiguous()
    let scale = try Self.scaleExtremes(&a)
    var generator = RandomGenerator(seed: seed)
    let test = Tensor<T>([n, samples], normalUsing: &generator)
    var q = try Self.basis(matrixProduct(a, test, threads: threads), backend)
    for _ in 0..<powerIterations {
      let other = try Self.basis(matrixProduct(a, q, transposeA: true, threads: threads), backend)
      q = try Self.basis(matrixProduct(a, other, threads: threads), backend)
    }
    let small = try SVD(
      matrixProduct(q, a, transposeA: true, threads: threads),
      method: backend == .lapack ? .gesdd : .swift)
    return try SVD(
      u: matrixProduct(q, small.u, threads: threads),
      singularValues: scale == 1 ? small.singularValues : small.singularValues.map { $0 / scale },
      vt: small.vt, method: small.method
    ).truncated(to: rank)
  }

  /// As many singular values as needed for a residual of at most `tolerance` · ‖A‖, in the
  /// Frobenius norm: samples are added in blocks until the residual is small enough.
  ///
  /// - Returns: The decomposition, and the residual relative to ‖A‖. It follows exactly from the
  ///   norms of the computed part, down to √ε; smaller tolerances count as √ε.
  /// - Throws: As ``svd(_:rank:backend:threads:)``; `badInput` also for a tolerance below 0, an
  ///   empty matrix or blocks of less than one sample.
  /// - Source: Yu, Gu & Li, "Efficient randomized algorithms for the fixed-precision low-rank
  ///   matrix approximation" (2018).
  @specialized(where T == Float)
  @specialized(where T == Double)
  public func svd<T: BLASElement>(
    _ matrix: Tensor<T>, tolerance: T, blockSize: Int = 16,
    backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial
  ) throws -> (svd: SVD<T>, relativeError: T) {
    try matrix.requireMemory("randomized svd", copies: 3, squares: 2)
    try matrix.requireFiniteMatrix("randomized svd")
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    let full = min(m, n)
    guard tolerance >= 0, full > 0, blockSize > 0 else {
      throw SwiftletError(
        .badInput,
        "a \(m)×\(n) matrix cannot be decomposed to a tolerance of \(tolerance) in blocks of "
          + "\(blockSize) samples",
        fix: "use a matrix that is not empty, a tolerance of at least 0 and blocks of at least 1")
    }
    try requireCounts()
    var a = matrix.contiguous()
    // Squares are compared below and must neither overflow nor underflow.
    let scale = ScaledMatrix.normalize(&a)
    let limit = Double(max(tolerance, T.ulpOfOne.squareRoot()))
    let total = a.squares
    var remainder = total
    var generator = RandomGenerator(seed: seed)
    // A ≈ Q · B; rows of `qt` are the columns of Q.
    var qt = Tensor<T>(zeros: [0, m])
    var b = Tensor<T>(zeros: [0, n])
    /// x minus its part in the span of Q.
    func fresh(_ x: Tensor<T>) -> Tensor<T> {
      x.subtracting(
        matrixProduct(
          qt, matrixProduct(qt, x, threads: threads), transposeA: true, threads: threads))
    }
    while qt.shape[0] == 0 || qt.shape[0] < full && remainder > limit * limit * total {
      let size = min(blockSize, full - qt.shape[0])
      let test = Tensor<T>([n, size], normalUsing: &generator)
      var sample = try Self.basis(fresh(matrixProduct(a, test, threads: threads)), backend)
      for _ in 0..<powerIterations {
        let other = try Self.basis(
          matrixProduct(a, sample, transposeA: true, threads: threads), backend)
        sample = try Self.basis(fresh(matrixProduct(a, other, threads: threads)), backend)
      }
      // Rounding reintroduces part of Q where the rest of A is small.
      let block = try Self.basis(fresh(sample), backend)
      let rows = matrixProduct(block, a, transposeA: true, threads: threads)
      remainder -= rows.squares
      qt = qt.joined(block.transposed())
      b = b.joined(rows)
    }
    let small = try SVD(b, method: backend == .lapack ? .gesdd : .swift)
    // The fewest values that suffice.
    var kept = small.singularValues.count
    var error = max(0, remainder)
    while kept > 1 {
      let value = Double(small.singularValues[kept - 1])
      guard error + value * value <= limit * limit * total else { break }
      error += value * value
      kept -= 1
    }
    let svd = try SVD(
      u: matrixProduct(qt, small.u, transposeA: true, threads: threads),
      singularValues: small.singularValues.map { $0 / scale },
      vt: small.vt, method: small.method
    ).truncated(to: kept)
    return (svd, total > 0 ? T((error / total).squareRoot()) : 0)
  }

  /// Scales a matrix close to 1 if its products with random numbers could overflow or lose digits
  /// among the subnormal numbers. Other matrices are unchanged and not copied.
  ///
  /// - Returns: The factor applied, a power of two.
  private static func scaleExtremes<T: BLASElement>(_ a: inout Tensor<T>) throws -> T {
    let squares = unsafe a.span.withUnsafeBufferPointer {
      unsafe T._routines.kernels.dot($0.count, $0.baseAddress!, $0.baseAddress!)
    }
    if squares.isFinite && squares > T.leastNormalMagnitude / T.ulpOfOne { return 1 }
    try a.requireMemory("randomized svd", copies: 1)
    return ScaledMatrix.normalize(&a)
  }

  private func requireCounts() throws {
    guard oversampling >= 0, powerIterations >= 0 else {
      throw SwiftletError(
        .badInput,
        "oversampling \(oversampling) and powerIterations \(powerIterations) are not both valid",
        fix: "both must be at least 0")
    }
  }

  /// An orthonormal basis of the column span.
  private static func basis<T: BLASElement>(
    _ columns: Tensor<T>, _ backend: LinalgBackend
  ) throws -> Tensor<T> {
    try QR(columns, backend: backend).q
  }
}

extension Tensor where Element: BLASElement {
  /// The sum of the squares of a packed tensor's elements, in double precision.
  fileprivate var squares: Double {
    let values = span
    var sum = 0.0
    for i in values.indices { sum += Double(values[i]) * Double(values[i]) }
    return sum
  }

  /// The difference of two packed tensors.
  fileprivate func subtracting(_ other: Tensor) -> Tensor {
    var difference = self
    let subtrahend = other.span
    var values = difference.mutableSpan
    for i in values.indices { values[i] -= subtrahend[i] }
    return difference
  }

  /// The rows of both matrices.
  fileprivate func joined(_ bottom: Tensor) -> Tensor {
    let (upper, lower) = (contiguous(), bottom.contiguous())
    var rows = Tensor(uninitialized: [shape[0] + bottom.shape[0], shape[1]])
    var target = rows.mutableSpan
    target.copy(upper.span, to: 0)
    target.copy(lower.span, to: upper.count)
    return rows
  }
}
