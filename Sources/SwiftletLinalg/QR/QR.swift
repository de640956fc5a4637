// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// The thin factorization A = Q · R of an m×n matrix, r = min(m, n): Q m×r with orthonormal
/// columns, R r×n upper triangular.
public struct QR<T: BLASElement>: Sendable {
  /// m×r, with orthonormal columns.
  public let q: Tensor<T>
  /// r×n, upper triangular.
  public let r: Tensor<T>

  /// - Throws: `badInput` for NaN or infinite elements, `outOfMemory`, `unsupported` for LAPACK in
  ///   a build without it.
  /// - Complexity: O(m·n·r).
  /// - Source: LAPACK `?gelqf`, `?orglq` on the transpose; Golub & Van Loan 5.2.
  public init(
    _ matrix: Tensor<T>, backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial
  ) throws {
    var workspace = Workspace<T>()
    try self.init(matrix, backend: backend, threads: threads, workspace: &workspace)
  }

  /// As above, with a reusable workspace.
  public init(
    _ matrix: Tensor<T>, backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial,
    workspace: inout Workspace<T>
  ) throws {
    switch backend {
    case .lapack: (q, r) = try LAPACK.qr(matrix, threads: threads, workspace: &workspace)
    case .swift:
      try matrix.requireMemory("qr", copies: 3)
      try matrix.requireFiniteMatrix("qr")
      (q, r) = SwiftQR.qr(matrix)
    }
  }
}

/// The rank-revealing factorization A · P = Q · R of an m×n matrix: column `permutation[j]` of A is
/// column j of Q · R, and the magnitudes on R's diagonal do not increase.
public struct PivotedQR<T: BLASElement>: Sendable {
  /// m×r, with orthonormal columns; r = min(m, n).
  public let q: Tensor<T>
  /// r×n, upper triangular.
  public let r: Tensor<T>
  /// The column of A that each column of Q · R is: a permutation of `0..<n`.
  public let permutation: [Int]

  /// - Throws: As ``QR/init(_:backend:threads:)``.
  /// - Complexity: O(m·n·min(m, n)), memory-bound.
  /// - Source: LAPACK `?geqp3`; Businger & Golub (1965).
  public init(
    _ matrix: Tensor<T>, backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial
  ) throws {
    var workspace = Workspace<T>()
    switch backend {
    case .lapack:
      (q, r, permutation) = try LAPACK.pivotedQR(matrix, threads: threads, workspace: &workspace)
    case .swift:
      try matrix.requireMemory("pivotedQR", copies: 3)
      try matrix.requireFiniteMatrix("pivotedQR")
      (q, r, permutation) = SwiftQR.pivotedQR(matrix)
    }
  }

  /// The number of diagonal elements of R that exceed `tolerance` times the first.
  ///
  /// - Parameter tolerance: Default: max(m, n) · ε.
  public func rank(tolerance: T? = nil) -> Int {
    let (m, n) = (q.shape[0], r.shape[1])
    let size = r.shape[0]
    guard size > 0, r[0, 0] != 0 else { return 0 }
    let limit = abs(r[0, 0]) * (tolerance ?? T(max(m, n)) * T.ulpOfOne)
    return (0..<size).first { abs(r[$0, $0]) <= limit } ?? size
  }
}
