public import SwiftletBLAS
public import SwiftletCore

/// A = V · diag(values) · Vᵀ of a symmetric n×n matrix, values descending.
public struct SymmetricEigen<T: BLASElement>: Sendable {
  public let values: [T]
  /// Orthonormal eigenvectors as **columns**, in the order of the values.
  public let vectors: Tensor<T>

  /// Reads the upper triangle only.
  ///
  /// - Throws: `badInput` for NaN or infinite elements or a matrix that is not square, `numerical`
  ///   if the iteration stalls.
  /// - Complexity: O(n³).
  /// - Source: LAPACK `?syevd`.
  public init(_ matrix: Tensor<T>, threads: Int = 1) throws {
    let (ascending, rows) = try LAPACK.symmetricEigen(matrix, threads: threads)
    let n = ascending.count
    values = ascending.reversed()
    var columns = Tensor<T>(uninitialized: [n, n])
    var target = columns.mutableSpan
    for column in 0..<n {
      let source = rows.span.extracting((n - 1 - column) * n..<(n - column) * n)
      for row in 0..<n { target[row * n + column] = source[row] }
    }
    vectors = columns
  }
}
