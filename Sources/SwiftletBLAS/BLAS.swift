import SwiftletCore

/// Products of row-major matrices and vectors, on the calling thread.
///
/// OpenBLAS does the work if it passes its ``SelfCheck``, else loops of our own. It is held to one
/// thread: parallel work is split by our own `ThreadPool`, never by two pools at once.
///
/// Matrices are spans with a leading dimension: the distance, in elements, between the starts of
/// neighbouring rows.
public enum BLAS {
  /// C = alpha · op(A) · op(B) + beta · C, with C m×n, op(A) m×k and op(B) k×n.
  ///
  /// With `beta` 0 the old contents of C do not matter, NaN included. Cost: 2·m·n·k operations.
  ///
  /// - Precondition: The spans hold the matrices; leading dimensions are not below row lengths.
  /// - Source: BLAS `?gemm`.
  @inlinable
  public static func gemm<T: BLASElement>(
    m: Int, n: Int, k: Int, alpha: T = 1, a: Span<T>, lda: Int, transposeA: Bool = false,
    b: Span<T>, ldb: Int, transposeB: Bool = false, beta: T = 0, c: inout MutableSpan<T>, ldc: Int
  ) {
    guard m > 0, n > 0 else { return }
    checkExtent(rows: transposeA ? k : m, columns: transposeA ? m : k, leading: lda, a.count, "A")
    checkExtent(rows: transposeB ? n : k, columns: transposeB ? k : n, leading: ldb, b.count, "B")
    checkExtent(rows: m, columns: n, leading: ldc, c.count, "C")
    guard k > 0, alpha != 0, Backend.current.usesOpenBLAS else {
      return ReferenceBLAS.gemm(
        m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, transposeA: transposeA, b: b, ldb: ldb,
        transposeB: transposeB, beta: beta, c: &c, ldc: ldc)
    }
    unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeBufferPointer { b in
        unsafe c.withUnsafeMutableBufferPointer { c in
          unsafe T._gemm(
            transposeA, transposeB, Int32(m), Int32(n), Int32(k), alpha, a.baseAddress!,
            Int32(lda), b.baseAddress!, Int32(ldb), beta, c.baseAddress!, Int32(ldc))
        }
      }
    }
  }

  /// y = alpha · op(A) · x + beta · y, with A m×n as stored; x and y are packed.
  ///
  /// - Precondition: The spans hold the matrix and vectors.
  /// - Source: BLAS `?gemv`.
  @inlinable
  public static func gemv<T: BLASElement>(
    m: Int, n: Int, alpha: T = 1, a: Span<T>, lda: Int, transposeA: Bool = false, x: Span<T>,
    beta: T = 0, y: inout MutableSpan<T>
  ) {
    let (rows, depth) = transposeA ? (n, m) : (m, n)
    guard rows > 0 else { return }
    checkExtent(rows: m, columns: n, leading: lda, a.count, "A")
    precondition(x.count >= depth && y.count >= rows, "gemv: \(x.count) and \(y.count) elements")
    guard depth > 0, alpha != 0, Backend.current.usesOpenBLAS else {
      return ReferenceBLAS.gemm(
        m: rows, n: 1, k: depth, alpha: alpha, a: a, lda: lda, transposeA: transposeA, b: x,
        ldb: 1, transposeB: false, beta: beta, c: &y, ldc: 1)
    }
    unsafe a.withUnsafeBufferPointer { a in
      unsafe x.withUnsafeBufferPointer { x in
        unsafe y.withUnsafeMutableBufferPointer { y in
          unsafe T._gemv(
            transposeA, Int32(m), Int32(n), alpha, a.baseAddress!, Int32(lda), x.baseAddress!,
            beta, y.baseAddress!)
        }
      }
    }
  }

  /// C = alpha · op(A) · op(A)ᵀ + beta · C, with C n×n and op(A) n×k. Only the upper triangle of C
  /// is read and written.
  ///
  /// - Precondition: The spans hold the matrices.
  /// - Source: BLAS `?syrk`.
  @inlinable
  public static func syrk<T: BLASElement>(
    n: Int, k: Int, alpha: T = 1, a: Span<T>, lda: Int, transposeA: Bool = false, beta: T = 0,
    c: inout MutableSpan<T>, ldc: Int
  ) {
    guard n > 0 else { return }
    checkExtent(rows: transposeA ? k : n, columns: transposeA ? n : k, leading: lda, a.count, "A")
    checkExtent(rows: n, columns: n, leading: ldc, c.count, "C")
    guard k > 0, alpha != 0, Backend.current.usesOpenBLAS else {
      return ReferenceBLAS.syrk(
        n: n, k: k, alpha: alpha, a: a, lda: lda, transposeA: transposeA, beta: beta, c: &c,
        ldc: ldc)
    }
    unsafe a.withUnsafeBufferPointer { a in
      unsafe c.withUnsafeMutableBufferPointer { c in
        unsafe T._syrk(
          transposeA, Int32(n), Int32(k), alpha, a.baseAddress!, Int32(lda), beta, c.baseAddress!,
          Int32(ldc))
      }
    }
  }

  @usableFromInline
  static func checkExtent(rows: Int, columns: Int, leading: Int, _ count: Int, _ name: String) {
    precondition(
      leading >= max(1, columns) && leading <= Int(Int32.max) && rows <= Int(Int32.max)
        && (rows == 0 || (rows - 1) * leading + columns <= count),
      "BLAS: \(name) is \(rows)×\(columns) with leading dimension \(leading), in \(count) elements")
  }
}
