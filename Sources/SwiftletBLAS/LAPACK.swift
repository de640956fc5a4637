internal import COpenBLAS
public import SwiftletCore
import Synchronization

/// Factorisations by LAPACK, through LAPACKE.
///
/// Matrices are packed and row-major. LAPACK sees them as column-major transposes, which costs
/// nothing: the SVD of Aᵀ swaps U and Vᵀ, and a symmetric matrix is its own transpose.
public enum LAPACK {
  /// The thin singular value decomposition A = U · diag(s) · Vᵀ of an m×n matrix, with
  /// r = min(m, n): U m×r, s in descending order, Vᵀ r×n.
  ///
  /// - Parameter threads: Threads that OpenBLAS may use meanwhile.
  /// - Throws: `badInput` for NaN or infinite elements; `numerical` if the iteration stalls;
  ///   `internal` if the installed routine failed its self-check.
  /// - Complexity: O(m·n·r) time; workspace 4·r² + 7·r elements and more for blocking.
  /// - Source: LAPACK `?gesdd` (divide and conquer).
  public static func svd<T: BLASElement>(
    _ a: Tensor<T>, threads: Int = 1
  ) throws -> (u: Tensor<T>, s: [T], vt: Tensor<T>) {
    try Backend.current.requireTrusted(.sgesdd)
    return try uncheckedSVD(a, threads: threads)
  }

  static func uncheckedSVD<T: BLASElement>(
    _ a: Tensor<T>, threads: Int
  ) throws -> (u: Tensor<T>, s: [T], vt: Tensor<T>) {
    let (m, n) = try extents(of: a, "svd")
    let rank = min(m, n)
    var work = a.contiguous()
    var u = Tensor<T>(uninitialized: [m, rank])
    var vt = Tensor<T>(uninitialized: [rank, n])
    var s = [T](repeating: 0, count: rank)
    guard rank > 0 else { return (u, s, vt) }
    let info = withBLASThreads(threads) {
      // Column-major n×m: its left factor is our Vᵀ (as n×r columns), its right one our U.
      unsafe call(&work, &s, &vt, &u) { a, s, left, right in
        unsafe T._gesdd(
          CChar(UInt8(ascii: "S")), Int32(n), Int32(m), a, s, left, Int32(n), right, Int32(rank))
      }
    }
    try check(info, T.dtype == .float32 ? "sgesdd" : "dgesdd", "\(m)×\(n)")
    return (u, s, vt)
  }

  /// The singular values of a matrix, in descending order.
  ///
  /// - Throws: As ``svd(_:threads:)``.
  /// - Source: LAPACK `?gesdd` with job `N`.
  public static func singularValues<T: BLASElement>(
    of a: Tensor<T>, threads: Int = 1
  ) throws -> [T] {
    try Backend.current.requireTrusted(.sgesdd)
    let (m, n) = try extents(of: a, "singularValues")
    var work = a.contiguous()
    var s = [T](repeating: 0, count: min(m, n))
    guard !s.isEmpty else { return s }
    var unused = Tensor<T>(uninitialized: [1])
    var alsoUnused = unused
    let info = withBLASThreads(threads) {
      unsafe call(&work, &s, &unused, &alsoUnused) { a, s, left, right in
        unsafe T._gesdd(CChar(UInt8(ascii: "N")), Int32(n), Int32(m), a, s, left, 1, right, 1)
      }
    }
    try check(info, T.dtype == .float32 ? "sgesdd" : "dgesdd", "\(m)×\(n)")
    return s
  }

  /// Eigenvalues in ascending order and eigenvectors, as the **rows** of an n×n matrix, of a
  /// symmetric matrix. Only the upper triangle is read.
  ///
  /// - Throws: As ``svd(_:threads:)``; `badInput` too if the matrix is not square.
  /// - Complexity: O(n³) time; workspace 2·n² + 6·n elements.
  /// - Source: LAPACK `?syevd` (divide and conquer).
  public static func symmetricEigen<T: BLASElement>(
    _ a: Tensor<T>, threads: Int = 1
  ) throws -> (values: [T], vectors: Tensor<T>) {
    try Backend.current.requireTrusted(.dsyevd)
    return try uncheckedSymmetricEigen(a, threads: threads)
  }

  static func uncheckedSymmetricEigen<T: BLASElement>(
    _ a: Tensor<T>, threads: Int
  ) throws -> (values: [T], vectors: Tensor<T>) {
    let (m, n) = try extents(of: a, "symmetricEigen")
    guard m == n else { throw SwiftletError(.badInput, "a \(m)×\(n) matrix is not symmetric") }
    // LAPACK counts its workspace of 2·n² + 6·n + 1 elements in 32 bits.
    guard n <= 32_766 else {
      throw SwiftletError(.unsupported, "symmetricEigen of a \(n)×\(n) matrix")
    }
    var vectors = a.contiguous()
    var values = [T](repeating: 0, count: n)
    guard n > 0 else { return (values, vectors) }
    let info = withBLASThreads(threads) {
      var a = vectors.mutableSpan
      var w = values.mutableSpan
      return unsafe a.withUnsafeMutableBufferPointer { a in
        unsafe w.withUnsafeMutableBufferPointer { w in
          unsafe T._syevd(Int32(n), a.baseAddress!, w.baseAddress!)
        }
      }
    }
    try check(info, T.dtype == .float32 ? "ssyevd" : "dsyevd", "\(n)×\(n)")
    return (values, vectors)
  }

  // MARK: Shared steps

  private static func extents<T: BLASElement>(
    of a: Tensor<T>, _ operation: String
  ) throws -> (m: Int, n: Int) {
    precondition(a.shape.rank == 2, "\(operation) needs a matrix, not \(a.shape)")
    guard a.shape[0] <= Int(Int32.max), a.shape[1] <= Int(Int32.max) else {
      throw SwiftletError(.unsupported, "\(operation) of a \(a.shape) matrix")
    }
    guard a.isFinite else {
      throw SwiftletError(.badInput, "the \(a.shape) matrix has NaN or infinite elements")
    }
    return (a.shape[0], a.shape[1])
  }

  private static func call<T: BLASElement>(
    _ a: inout Tensor<T>, _ s: inout [T], _ left: inout Tensor<T>, _ right: inout Tensor<T>,
    _ routine: (
      UnsafeMutablePointer<T>, UnsafeMutablePointer<T>, UnsafeMutablePointer<T>,
      UnsafeMutablePointer<T>
    ) -> Int32
  ) -> Int32 {
    var a = a.mutableSpan
    var s = s.mutableSpan
    var left = left.mutableSpan
    var right = right.mutableSpan
    return unsafe a.withUnsafeMutableBufferPointer { a in
      unsafe s.withUnsafeMutableBufferPointer { s in
        unsafe left.withUnsafeMutableBufferPointer { left in
          unsafe right.withUnsafeMutableBufferPointer { right in
            unsafe routine(
              a.baseAddress!, s.baseAddress!, left.baseAddress!, right.baseAddress!)
          }
        }
      }
    }
  }

  private static func check(_ info: Int32, _ routine: String, _ size: String) throws {
    if info > 0 {
      throw SwiftletError(.numerical, "\(routine) did not converge (info \(info))", at: size)
    }
    if info < 0 {
      throw SwiftletError(.internal, "\(routine) failed (info \(info))", at: size)
    }
  }

  private static let threadLock = Mutex(())

  /// Lets OpenBLAS use several threads for one call. The setting is global, so that such calls
  /// take turns.
  private static func withBLASThreads<R>(_ threads: Int, _ body: () -> sending R) -> sending R {
    guard threads > 1 else { return body() }
    return threadLock.withLock { _ in
      openblas_set_num_threads(Int32(threads))
      defer { openblas_set_num_threads(1) }
      return body()
    }
  }
}
