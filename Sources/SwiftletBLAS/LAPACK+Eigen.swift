// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

extension LAPACK {
  /// Eigenvalues in ascending order and eigenvectors, as the **rows** of an n×n matrix, of a
  /// symmetric matrix. Reads only the upper triangle: elements below the diagonal may be NaN.
  ///
  /// - Throws: `badInput` for NaN or infinite elements or a matrix that is not square, `numerical`
  ///   if the iteration stalls, `outOfMemory`.
  /// - Complexity: O(n³) time; workspace 2·n² + 6·n elements.
  /// - Source: LAPACK `?syevd` (divide and conquer); `?syevr` if the workspace of `?syevd`
  ///   overflows.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func symmetricEigen<T: BLASElement>(
    _ a: Tensor<T>, threads: Threads = .serial, workspace: inout Workspace<T>
  ) throws -> (values: [T], vectors: Tensor<T>) {
    try a.requireMatrix("symmetricEigen")
    let n = a.shape[0]
    // A workspace query would answer in the element type: `Float` rounds the size down from
    // 2895×2895 on, and the routine then rejects its own answer.
    let size = divideAndConquerWorkspace(n)
    guard size <= Int(Int32.max) else {
      return try symmetricEigen(a, largest: n, threads: threads, workspace: &workspace)
    }
    try requireMemory("symmetricEigen", a, (0, 0), workspace: Double(size))
    var vectors = a
    let values = try syevd("V", &vectors, size, integers: 3 + 5 * n, threads, &workspace)
    return (values, vectors)
  }

  /// The workspace of `?syevd` besides the matrix, in elements. LAPACK counts it in 32 bits, which
  /// is enough up to n = 32 766.
  package static func divideAndConquerWorkspace(_ n: Int) -> Int { 1 + 6 * n + 2 * n * n }

  /// The eigenvalues of a symmetric matrix, in ascending order; otherwise as above, in a third of
  /// the time.
  ///
  /// - Complexity: O(n³) time; workspace 2·n elements and a copy of the matrix.
  /// - Source: LAPACK `?syevd` with job `N`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func symmetricEigenvalues<T: BLASElement>(
    of a: Tensor<T>, threads: Threads = .serial, workspace: inout Workspace<T>
  ) throws -> [T] {
    try a.requireMatrix("symmetricEigenvalues")
    try requireMemory("symmetricEigenvalues", a, (0, 0), workspace: 0)
    var work = a
    // The documented minimum, plus space for blocks.
    return try syevd("N", &work, 66 * a.shape[0] + 1, integers: 1, threads, &workspace)
  }

  /// The eigenvalues; with job `V`, the vectors overwrite the matrix.
  private static func syevd<T: BLASElement>(
    _ job: Unicode.Scalar, _ a: inout Tensor<T>, _ size: Int, integers integerSize: Int,
    _ threads: Threads, _ workspace: inout Workspace<T>
  ) throws -> [T] {
    let n = try order(of: a, "symmetricEigen", reading: .upper)
    try requireInstalled()
    let routines = T._routines
    var values = [T](repeating: 0, count: n)
    guard n > 0 else { return values }
    let size = try count(size, "syevd of \(n)×\(n)")
    var valueSpan = values.mutableSpan
    let info = unsafe a.withPointer { a in
      unsafe valueSpan.withUnsafeMutableBufferPointer { values in
        unsafe workspace.with(size, integers: integerSize) { work, integers in
          OpenBLAS.enter(threads: threads) {
            unsafe routines.openBLAS!.syevd(
              columnMajor, code(job), code("L"), Int32(n), a, Int32(n), values.baseAddress, work,
              Int32(size), integers, Int32(integerSize))
          }
        }
      }
    }
    try check(info, "syevd", T.self, "\(n)×\(n)")
    return values
  }

  /// The `count` largest eigenvalues, ascending, and their vectors as rows; otherwise as above.
  ///
  /// - Throws: `badInput` also unless `1 ≤ count ≤ n`.
  /// - Complexity: O(n³) to reduce the matrix, O(n²·count) for the vectors.
  /// - Source: LAPACK `?syevr` (relatively robust representations).
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func symmetricEigen<T: BLASElement>(
    _ a: Tensor<T>, largest count: Int, threads: Threads = .serial, workspace: inout Workspace<T>
  ) throws -> (values: [T], vectors: Tensor<T>) {
    try a.requireMatrix("symmetricEigen")
    try requireMemory("symmetricEigen", a, (0, max(0, count)), workspace: 0)
    let n = try order(of: a, "symmetricEigen", reading: .upper)
    guard count >= 1, count <= n else {
      throw SwiftletError(
        .badInput, "\(count) of the eigenvalues of a \(n)×\(n) matrix cannot be computed",
        fix: "use 1 to \(n)")
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
            OpenBLAS.enter(threads: threads) {
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

  /// The order of a square matrix of which all elements or one triangle are read.
  static func order<T: BLASElement>(
    of a: Tensor<T>, _ operation: String, reading triangle: Triangle? = nil
  ) throws -> Int {
    try a.requireFiniteSquareMatrix(operation, reading: triangle)
    guard a.shape[0] <= Int(Int32.max) else {
      throw SwiftletError(
        .unsupported, "\(operation) of a \(a.shape) matrix exceeds LAPACK's 32-bit sizes")
    }
    return a.shape[0]
  }
}
