internal import COpenBLAS
public import SwiftletCore

/// An element type that BLAS and LAPACK have routines for.
///
/// The requirements are the raw routines of one precision; callers use ``BLAS`` and ``LAPACK``.
public protocol BLASElement: FloatElement {
  @unsafe
  static func _gemm(
    _ transposeA: Bool, _ transposeB: Bool, _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Self,
    _ a: UnsafePointer<Self>, _ lda: Int32, _ b: UnsafePointer<Self>, _ ldb: Int32, _ beta: Self,
    _ c: UnsafeMutablePointer<Self>, _ ldc: Int32)

  @unsafe
  static func _gemv(
    _ transpose: Bool, _ m: Int32, _ n: Int32, _ alpha: Self, _ a: UnsafePointer<Self>,
    _ lda: Int32, _ x: UnsafePointer<Self>, _ beta: Self, _ y: UnsafeMutablePointer<Self>)

  @unsafe
  static func _syrk(
    _ transpose: Bool, _ n: Int32, _ k: Int32, _ alpha: Self, _ a: UnsafePointer<Self>,
    _ lda: Int32, _ beta: Self, _ c: UnsafeMutablePointer<Self>, _ ldc: Int32)

  /// Column-major `?gesdd`; `job` is `S` (thin) or `N` (values only).
  @unsafe
  static func _gesdd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Self>,
    _ s: UnsafeMutablePointer<Self>, _ u: UnsafeMutablePointer<Self>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Self>, _ ldvt: Int32
  ) -> Int32

  /// Column-major `?syevd` of the lower triangle, with vectors.
  @unsafe
  static func _syevd(
    _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ w: UnsafeMutablePointer<Self>
  ) -> Int32
}

private func flag(_ transposed: Bool) -> CBLAS_TRANSPOSE {
  transposed ? CblasTrans : CblasNoTrans
}

/// Gives `?syevd` the workspace of its documentation, counted in integers.
///
/// LAPACKE would ask the routine instead, which answers in the element type. From 2895×2895 on
/// that size is beyond 2²⁴, a `Float` rounds it down, and the routine refuses what it asked for.
private func withEigenWorkspace<T: BLASElement>(
  _ n: Int32,
  _ call: (UnsafeMutablePointer<T>, Int32, UnsafeMutablePointer<Int32>, Int32) -> Int32
) -> Int32 {
  let n = Int(n)
  var work = Tensor<T>(uninitialized: [1 + 6 * n + 2 * n * n])
  var integers = [Int32](repeating: 0, count: 3 + 5 * n)
  var workSpan = work.mutableSpan
  var integerSpan = integers.mutableSpan
  return unsafe workSpan.withUnsafeMutableBufferPointer { work in
    unsafe integerSpan.withUnsafeMutableBufferPointer { integers in
      unsafe call(
        work.baseAddress!, Int32(work.count), integers.baseAddress!, Int32(integers.count))
    }
  }
}

extension Float: BLASElement {
  @unsafe
  public static func _gemm(
    _ transposeA: Bool, _ transposeB: Bool, _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Float,
    _ a: UnsafePointer<Float>, _ lda: Int32, _ b: UnsafePointer<Float>, _ ldb: Int32,
    _ beta: Float, _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
  ) {
    unsafe cblas_sgemm(
      CblasRowMajor, flag(transposeA), flag(transposeB), m, n, k, alpha, a, lda, b, ldb, beta, c,
      ldc)
  }

  @unsafe
  public static func _gemv(
    _ transpose: Bool, _ m: Int32, _ n: Int32, _ alpha: Float, _ a: UnsafePointer<Float>,
    _ lda: Int32, _ x: UnsafePointer<Float>, _ beta: Float, _ y: UnsafeMutablePointer<Float>
  ) {
    unsafe cblas_sgemv(CblasRowMajor, flag(transpose), m, n, alpha, a, lda, x, 1, beta, y, 1)
  }

  @unsafe
  public static func _syrk(
    _ transpose: Bool, _ n: Int32, _ k: Int32, _ alpha: Float, _ a: UnsafePointer<Float>,
    _ lda: Int32, _ beta: Float, _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
  ) {
    unsafe cblas_ssyrk(
      CblasRowMajor, CblasUpper, flag(transpose), n, k, alpha, a, lda, beta, c, ldc)
  }

  @unsafe
  public static func _gesdd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Float>,
    _ s: UnsafeMutablePointer<Float>, _ u: UnsafeMutablePointer<Float>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Float>, _ ldvt: Int32
  ) -> Int32 {
    unsafe LAPACKE_sgesdd(LAPACK_COL_MAJOR, job, m, n, a, m, s, u, ldu, vt, ldvt)
  }

  @unsafe
  public static func _syevd(
    _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ w: UnsafeMutablePointer<Float>
  ) -> Int32 {
    unsafe withEigenWorkspace(n) { work, size, integers, integerSize in
      unsafe LAPACKE_ssyevd_work(
        LAPACK_COL_MAJOR, CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")), n, a, n, w, work,
        size, integers, integerSize)
    }
  }
}

extension Double: BLASElement {
  @unsafe
  public static func _gemm(
    _ transposeA: Bool, _ transposeB: Bool, _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Double,
    _ a: UnsafePointer<Double>, _ lda: Int32, _ b: UnsafePointer<Double>, _ ldb: Int32,
    _ beta: Double, _ c: UnsafeMutablePointer<Double>, _ ldc: Int32
  ) {
    unsafe cblas_dgemm(
      CblasRowMajor, flag(transposeA), flag(transposeB), m, n, k, alpha, a, lda, b, ldb, beta, c,
      ldc)
  }

  @unsafe
  public static func _gemv(
    _ transpose: Bool, _ m: Int32, _ n: Int32, _ alpha: Double, _ a: UnsafePointer<Double>,
    _ lda: Int32, _ x: UnsafePointer<Double>, _ beta: Double, _ y: UnsafeMutablePointer<Double>
  ) {
    unsafe cblas_dgemv(CblasRowMajor, flag(transpose), m, n, alpha, a, lda, x, 1, beta, y, 1)
  }

  @unsafe
  public static func _syrk(
    _ transpose: Bool, _ n: Int32, _ k: Int32, _ alpha: Double, _ a: UnsafePointer<Double>,
    _ lda: Int32, _ beta: Double, _ c: UnsafeMutablePointer<Double>, _ ldc: Int32
  ) {
    unsafe cblas_dsyrk(
      CblasRowMajor, CblasUpper, flag(transpose), n, k, alpha, a, lda, beta, c, ldc)
  }

  @unsafe
  public static func _gesdd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Double>,
    _ s: UnsafeMutablePointer<Double>, _ u: UnsafeMutablePointer<Double>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Double>, _ ldvt: Int32
  ) -> Int32 {
    unsafe LAPACKE_dgesdd(LAPACK_COL_MAJOR, job, m, n, a, m, s, u, ldu, vt, ldvt)
  }

  @unsafe
  public static func _syevd(
    _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ w: UnsafeMutablePointer<Double>
  ) -> Int32 {
    unsafe withEigenWorkspace(n) { work, size, integers, integerSize in
      unsafe LAPACKE_dsyevd_work(
        LAPACK_COL_MAJOR, CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")), n, a, n, w, work,
        size, integers, integerSize)
    }
  }
}
