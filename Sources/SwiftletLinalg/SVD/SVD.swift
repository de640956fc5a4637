// SPDX-License-Identifier: Apache-2.0

import Logging
public import SwiftletBLAS
public import SwiftletCore

/// A = U · diag(s) · Vᵀ of an m×n matrix: U m×r and V n×r with orthonormal columns, s descending, r
/// = min(m, n) or the truncated rank.
public struct SVD<T: BLASElement>: Sendable {
  /// m×r; its columns are the left singular vectors.
  public let u: Tensor<T>
  /// r values, descending, none negative.
  public let singularValues: [T]
  /// r×n; its **rows** are the right singular vectors.
  public let vt: Tensor<T>
  /// The method that computed it.
  public let method: Method

  /// An algorithm for the full decomposition.
  public enum Method: String, Sendable, CaseIterable {
    /// LAPACK's divide and conquer.
    case gesdd
    /// LAPACK's implicit QR. The fallback if `gesdd` does not converge; about 30 times slower at
    /// 1024×1024.
    case gesvd
    /// Divide and conquer in Swift.
    case swift
    /// One-sided Jacobi rotations in Swift: slow, but accurate for small singular values too.
    case jacobi
    /// From the eigenvalues of AᵀA or AAᵀ, whichever is smaller: the least work for matrices that
    /// are much longer than wide, at the cost of half of the digits. Values below √ε of the largest
    /// are noise, and vectors computed from them are not orthogonal.
    case gram

    /// Whether this build includes it.
    public var isAvailable: Bool {
      switch self {
      case .gesdd, .gesvd: LAPACK.isInstalled
      case .swift, .jacobi, .gram: true
      }
    }

    /// `gesdd` if it is installed and passed its self-check, otherwise `swift`.
    public static var automatic: Method {
      LinalgBackend.automatic(for: T.self) == .lapack ? .gesdd : .swift
    }
  }

  /// The vectors to compute.
  public enum Vectors: Sendable {
    /// r = min(m, n) on each side.
    case thin
    /// All m left and n right vectors; those after the r-th belong to no singular value.
    case full
  }

  /// - Throws: `badInput` for NaN or infinite elements, `numerical` if the iteration stalls,
  ///   `outOfMemory`, `unsupported` for LAPACK's methods in a build without it.
  /// - Complexity: O(m·n·min(m, n)).
  /// - Source: LAPACK `?gesdd`, `?gesvd`; see `docs/linear-algebra.md` for ours.
  public init(
    _ matrix: Tensor<T>, vectors: Vectors = .thin, method: Method = .automatic, threads: Threads = .serial
  ) throws {
    var workspace = Workspace<T>()
    try self.init(
      matrix, vectors: vectors, method: method, threads: threads, workspace: &workspace)
  }

  /// As above, with a reusable workspace.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public init(
    _ matrix: Tensor<T>, vectors: Vectors = .thin, method: Method = .automatic, threads: Threads = .serial,
    workspace: inout Workspace<T>
  ) throws {
    try matrix.requireMatrix("svd")
    let full = vectors == .full
    // LAPACK's own alternative would take about thirty times as long.
    let method =
      method == .gesdd && !LAPACK.canFindVectors(matrix.shape[0], matrix.shape[1])
      ? .swift : method
    switch method {
    case .gesdd:
      do {
        (u, singularValues, vt) = try LAPACK.svd(
          matrix, full: full, threads: threads, workspace: &workspace)
        self.method = .gesdd
      } catch let error as SwiftletError where error.code == .numerical {
        Logger.swiftlet("linalg").warning("\(error): retrying with gesvd, which is slower")
        (u, singularValues, vt) = try LAPACK.svd(
          matrix, full: full, driver: .gesvd, threads: threads, workspace: &workspace)
        self.method = .gesvd
      }
      return
    case .gesvd:
      (u, singularValues, vt) = try LAPACK.svd(
        matrix, full: full, driver: .gesvd, threads: threads, workspace: &workspace)
    case .swift:
      try matrix.requireMemory("svd", copies: full ? 2 : 4, squares: 4)
      if full { try Self.requireMemory(forFull: matrix) }
      try matrix.requireFiniteMatrix("svd")
      (u, singularValues, vt) = try SwiftSVD.svd(matrix, full: full)
    case .jacobi:
      try matrix.requireMemory("svd", copies: 4, squares: 2)
      try matrix.requireFiniteMatrix("svd")
      try Self.refuseFull(vectors, method)
      (u, singularValues, vt) = try JacobiSVD.svd(matrix)
    case .gram:
      try matrix.requireMemory("svd", copies: 3, squares: 3)
      try matrix.requireFiniteMatrix("svd")
      try Self.refuseFull(vectors, method)
      (u, singularValues, vt) = try GramSVD.svd(matrix, threads: threads)
    }
    self.method = method
  }

  private static func requireMemory(forFull matrix: Tensor<T>) throws {
    let longer = Double(max(matrix.shape[0], matrix.shape[1]))
    try MemoryLimit.require(2 * longer * longer, of: T.self, for: "full svd of \(matrix.shape)")
  }

  private static func refuseFull(_ vectors: Vectors, _ method: Method) throws {
    guard case .full = vectors else { return }
    throw SwiftletError(
      .unsupported, "method \(method) computes only thin factors", mend: "use method swift")
  }

  /// - Precondition: The shapes match.
  init(u: Tensor<T>, singularValues: [T], vt: Tensor<T>, method: Method) {
    precondition(
      u.shape[1] >= singularValues.count && vt.shape[0] >= singularValues.count,
      "factors \(u.shape), \(singularValues.count), \(vt.shape)")
    (self.u, self.singularValues, self.vt, self.method) = (u, singularValues, vt, method)
  }

  /// Only the singular values of a matrix, in descending order.
  ///
  /// - Throws: As ``init(_:vectors:method:threads:)``.
  /// - Complexity: O(m·n·min(m, n)), in a fraction of the time that vectors take.
  public static func values(
    of matrix: Tensor<T>, method: Method = .automatic, threads: Threads = .serial
  ) throws -> [T] {
    var workspace = Workspace<T>()
    return try values(of: matrix, method: method, threads: threads, workspace: &workspace)
  }

  /// As above, with a reusable workspace.
  public static func values(
    of matrix: Tensor<T>, method: Method = .automatic, threads: Threads = .serial,
    workspace: inout Workspace<T>
  ) throws -> [T] {
    switch method {
    case .gesdd, .gesvd:
      return try LAPACK.singularValues(
        of: matrix, driver: method == .gesdd ? .gesdd : .gesvd, threads: threads,
        workspace: &workspace)
    case .swift:
      try matrix.requireMemory("singularValues", copies: 2)
      try matrix.requireFiniteMatrix("singularValues")
      return try SwiftSVD.singularValues(of: matrix)
    case .jacobi, .gram:
      return try SVD(matrix, method: method, threads: threads).singularValues
    }
  }

  /// The best approximation of lower rank in the spectral and Frobenius norms (Eckart & Young
  /// 1936).
  ///
  /// - Throws: `badInput` unless `0 ≤ rank ≤ singularValues.count`.
  public func truncated(to rank: Int) throws -> SVD {
    guard (0...singularValues.count).contains(rank) else {
      throw SwiftletError(
        .badInput, "rank \(rank) is not in 0...\(singularValues.count)", at: "truncated")
    }
    return SVD(
      u: u.slice(axis: 1, range: 0..<rank).contiguous(),
      singularValues: Array(singularValues[..<rank]),
      vt: vt.slice(axis: 0, range: 0..<rank).contiguous(), method: method)
  }

  /// U · diag(s) · Vᵀ.
  public func reconstructed() -> Tensor<T> {
    let (left, right) = balancedFactors
    return matrixProduct(left, right)
  }

  /// Two factors whose product is the matrix, each with the square root of every singular value, so
  /// that both have the same scale: left m×r, right r×n.
  public var balancedFactors: (left: Tensor<T>, right: Tensor<T>) {
    let roots = singularValues.map { $0.squareRoot() }
    let rank = roots.count
    var left = u.slice(axis: 1, range: 0..<rank).contiguous()
    var right = vt.slice(axis: 0, range: 0..<rank).contiguous()
    do {
      var values = left.mutableSpan
      for i in values.indices { values[i] *= roots[i % max(1, rank)] }
    }
    let columns = vt.shape[1]
    var values = right.mutableSpan
    for i in values.indices { values[i] *= roots[i / max(1, columns)] }
    return (left, right)
  }
}

/// Measures of how much of a matrix a rank keeps.
public enum Spectrum {
  /// The fraction of Σ values kept by the first `rank`; 1 for a zero spectrum. Energies are squared
  /// singular values, or eigenvalues of a covariance, in descending order.
  public static func energy(_ energies: [Double], rank: Int) -> Double {
    let total = energies.reduce(0, +)
    return total > 0 ? energies[..<rank].reduce(0, +) / total : 1
  }

  /// The smallest rank, at least 1, that keeps `energy` (0…1) of Σ values.
  public static func rank(_ energies: [Double], keeping energy: Double) -> Int {
    let goal = energy * energies.reduce(0, +)
    var sum = 0.0
    for (index, value) in energies.enumerated() {
      sum += value
      if sum >= goal { return index + 1 }
    }
    return max(1, energies.count)
  }
}
