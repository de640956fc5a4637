// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// A = V · diag(values) · Vᵀ of a symmetric n×n matrix, or its largest part; values descending.
public struct SymmetricEigen<T: BLASElement>: Sendable {
  /// The eigenvalues in descending order: n, or as many as were asked for.
  public let values: [T]
  /// Orthonormal eigenvectors as **columns**, in the order of the values.
  public let vectors: Tensor<T>

  /// Reads only the upper triangle, and computes the `largest` eigenvalues; all by default.
  /// Elements below the diagonal may be NaN.
  ///
  /// - Throws: `badInput` for NaN or infinite elements, a matrix that is not square, or unless
  ///   `1 ≤ largest ≤ n`; `numerical` if the iteration stalls; `outOfMemory`; `unsupported` for
  ///   LAPACK in a build without it.
  /// - Complexity: O(n³); a few of the eigenvalues take about half of the time.
  /// - Source: LAPACK `?syevd`, `?syevr`; see `docs/linear-algebra.md` for ours.
  public init(
    _ matrix: Tensor<T>, largest: Int? = nil,
    backend: LinalgBackend = .automaticForEigenvalues(of: T.self), threads: Threads = .serial
  ) throws {
    var workspace = Workspace<T>()
    try self.init(
      matrix, largest: largest, backend: backend, threads: threads, workspace: &workspace)
  }

  /// As above, with a reusable workspace.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public init(
    _ matrix: Tensor<T>, largest: Int? = nil,
    backend: LinalgBackend = .automaticForEigenvalues(of: T.self), threads: Threads = .serial,
    workspace: inout Workspace<T>
  ) throws {
    // The working copy becomes the vectors, which are transposed into columns.
    try matrix.requireMemory("symmetricEigen", copies: 2)
    try matrix.requireFiniteSquareMatrix("symmetricEigen", reading: .upper)
    let n = matrix.shape[0]
    let count = largest ?? n
    guard largest == nil || (1...max(1, n)).contains(count) && n > 0 else {
      throw SwiftletError(
        .badInput, "\(count) of the eigenvalues of a \(n)×\(n) matrix cannot be computed",
        fix: "use 1 to \(n)")
    }
    var values: [T]
    var rows: Tensor<T>
    switch backend {
    case .lapack:
      (values, rows) =
        count == n
        ? try LAPACK.symmetricEigen(matrix, threads: threads, workspace: &workspace)
        : try LAPACK.symmetricEigen(
          matrix, largest: count, threads: threads, workspace: &workspace)
      values.reverse()
    case .swift:
      try matrix.requireMemory("symmetricEigen", copies: 4)
      (values, rows) = try SwiftEigen.eigen(matrix, count: count)
    }
    self.values = values
    try rows.requireMemory("symmetricEigen", copies: 1)
    vectors = Self.columns(rows, reversed: backend == .lapack)
  }

  /// Only the eigenvalues of a symmetric matrix, in descending order.
  ///
  /// - Throws: As ``init(_:largest:backend:threads:)``.
  /// - Complexity: O(n³), in a fraction of the time that vectors take.
  /// - Source: LAPACK `?syevd` with job `N`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func values(
    of matrix: Tensor<T>, backend: LinalgBackend = .automaticForEigenvalues(of: T.self),
    threads: Threads = .serial
  ) throws -> [T] {
    switch backend {
    case .lapack:
      var workspace = Workspace<T>()
      return try LAPACK.symmetricEigenvalues(of: matrix, threads: threads, workspace: &workspace)
        .reversed()
    case .swift:
      try matrix.requireMemory("symmetricEigenvalues", copies: 1)
      try matrix.requireFiniteSquareMatrix("symmetricEigenvalues", reading: .upper)
      return try SwiftEigen.values(of: matrix)
    }
  }

  /// The rows of a matrix as columns, in reverse order if `reversed`.
  private static func columns(_ rows: Tensor<T>, reversed: Bool) -> Tensor<T> {
    let (count, n) = (rows.shape[0], rows.shape[1])
    var rows = rows
    var columns = Tensor<T>(uninitialized: [n, count])
    columns.withView { columns in
      rows.withView { rows in columns.copy((reversed ? rows.reversedRows : rows).transposed) }
    }
    return columns
  }
}
