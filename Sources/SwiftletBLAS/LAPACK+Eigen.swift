public import SwiftletCore

extension LAPACK {
  /// Eigenvalues in ascending order and eigenvectors, as the **rows** of an n×n matrix, of a
  /// symmetric matrix. Only the upper triangle is read.
  ///
  /// - Throws: `badInput` for NaN or infinite elements or a matrix that is not square, `numerical`
  ///   if the iteration stalls.
  /// - Complexity: O(n³) time; workspace 2·n² + 6·n elements.
  /// - Source: LAPACK `?syevd` (divide and conquer).
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func symmetricEigen<T: BLASElement>(
    _ a: Tensor<T>, threads: Int = 1, workspace: inout Workspace<T>
  ) throws -> (values: [T], vectors: Tensor<T>) {
    let n = try order(of: a, "symmetricEigen")
    try requireInstalled()
    let routines = T._routines
    var vectors = a
    var values = [T](repeating: 0, count: n)
    guard n > 0 else { return (values, vectors) }
    // Asked for the size, the routine would answer in the element type: a `Float` rounds it down
    // from 2895×2895 on, and then the routine refuses what it asked for.
    let size = try count(1 + 6 * n + 2 * n * n, "syevd of \(n)×\(n)")
    let integerSize = 3 + 5 * n
    var valueSpan = values.mutableSpan
    let info = unsafe vectors.withPointer { a in
      unsafe valueSpan.withUnsafeMutableBufferPointer { values in
        unsafe workspace.with(size, integers: integerSize) { work, integers in
          withBLASThreads(threads) {
            unsafe routines.openBLAS!.syevd(
              columnMajor, code("V"), code("L"), Int32(n), a, Int32(n), values.baseAddress, work,
              Int32(size), integers, Int32(integerSize))
          }
        }
      }
    }
    try check(info, "syevd", T.self, "\(n)×\(n)")
    return (values, vectors)
  }

  /// The `count` largest eigenvalues, ascending, and their vectors as rows; otherwise as above.
  ///
  /// - Throws: `badInput` also unless `1 ≤ count ≤ n`.
  /// - Complexity: O(n³) to reduce the matrix, O(n²·count) for the vectors.
  /// - Source: LAPACK `?syevr` (relatively robust representations).
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func symmetricEigen<T: BLASElement>(
    _ a: Tensor<T>, largest count: Int, threads: Int = 1, workspace: inout Workspace<T>
  ) throws -> (values: [T], vectors: Tensor<T>) {
    let n = try order(of: a, "symmetricEigen")
    guard count >= 1, count <= n else {
      throw SwiftletError(.badInput, "\(count) eigenvalues of a \(n)×\(n) matrix")
    }
    try requireInstalled()
    let routines = T._routines
    var work = a
    var values = [T](repeating: 0, count: n)
    var vectors = Tensor<T>(uninitialized: [count, n])
    let (size, integerSize) = (try self.count(64 * n, "syevr of \(n)×\(n)"), 10 * n)
    var found: Int32 = 0
    var valueSpan = values.mutableSpan
    let info = unsafe work.withPointer { a in
      unsafe vectors.withPointer { vectors in
        unsafe valueSpan.withUnsafeMutableBufferPointer { values in
          unsafe workspace.with(size, integers: integerSize + 2 * count) { work, integers in
            withBLASThreads(threads) {
              unsafe routines.openBLAS!.syevr(
                columnMajor, code("V"), code("I"), code("L"), Int32(n), a, Int32(n), 0, 0,
                Int32(n - count + 1), Int32(n), 0, &found, values.baseAddress, vectors, Int32(n),
                integers + integerSize, work, Int32(size), integers, Int32(integerSize))
            }
          }
        }
      }
    }
    try check(info, "syevr", T.self, "\(n)×\(n)")
    guard Int(found) == count else {
      throw SwiftletError(
        .numerical, "syevr found \(found) of \(count) eigenvalues", at: "\(n)×\(n)")
    }
    return (Array(values[..<count]), vectors)
  }

  static func code(_ letter: Unicode.Scalar) -> CChar { CChar(letter.value) }

  /// The order of a square matrix.
  static func order<T: BLASElement>(of a: Tensor<T>, _ operation: String) throws -> Int {
    let (m, n) = try extents(of: a, operation)
    guard m == n else {
      throw SwiftletError(.badInput, "a \(m)×\(n) matrix is not square", at: operation)
    }
    return n
  }
}
