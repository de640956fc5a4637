// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

#if !PureSwift
  internal import COpenBLAS
  internal import CSwiftletGate
#endif

/// The routines of OpenBLAS and LAPACKE for one element type, with names without the type letter.
///
/// Sizes are as in C; matrices of products are row-major, those of LAPACK column-major. LAPACKE's
/// `_work` variants leave the workspace to the caller and check nothing.
@safe
struct OpenBLASRoutines<T: FloatElement>: Sendable {
  typealias In = UnsafePointer<T>?
  typealias Out = UnsafeMutablePointer<T>?
  typealias Integers = UnsafeMutablePointer<Int32>?
  typealias Factor = @Sendable (Int32, Int32, Int32, Out, Int32, Out, Out, Int32) -> Int32
  typealias Generate = @Sendable (Int32, Int32, Int32, Int32, Out, Int32, In, Out, Int32) -> Int32

  let gemm:
    @Sendable (
      _ transposeA: Bool, _ transposeB: Bool, _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: T,
      _ a: In, _ lda: Int32, _ b: In, _ ldb: Int32, _ beta: T, _ c: Out, _ ldc: Int32
    ) -> Void
  let gemv:
    @Sendable (
      _ transpose: Bool, _ m: Int32, _ n: Int32, _ alpha: T, _ a: In, _ lda: Int32, _ x: In,
      _ beta: T, _ y: Out
    ) -> Void
  /// The upper triangle.
  let syrk:
    @Sendable (
      _ transpose: Bool, _ n: Int32, _ k: Int32, _ alpha: T, _ a: In, _ lda: Int32, _ beta: T,
      _ c: Out, _ ldc: Int32
    ) -> Void
  let trsm:
    @Sendable (
      _ isLower: Bool, _ transpose: Bool, _ isUnit: Bool, _ n: Int32, _ columns: Int32, _ a: In,
      _ lda: Int32, _ b: Out, _ ldb: Int32
    ) -> Void

  let gesdd:
    @Sendable (
      Int32, CChar, Int32, Int32, Out, Int32, Out, Out, Int32, Out, Int32, Out, Int32, Integers
    ) -> Int32
  let gesvd:
    @Sendable (
      Int32, CChar, CChar, Int32, Int32, Out, Int32, Out, Out, Int32, Out, Int32, Out, Int32
    ) -> Int32
  let syevd:
    @Sendable (Int32, CChar, CChar, Int32, Out, Int32, Out, Out, Int32, Integers, Int32) -> Int32
  let syevr:
    @Sendable (
      Int32, CChar, CChar, CChar, Int32, Out, Int32, T, T, Int32, Int32, T, Integers, Out, Out,
      Int32, Integers, Out, Int32, Integers, Int32
    ) -> Int32
  let gelqf, geqrf: Factor
  let orglq, orgqr: Generate
  let geqp3: @Sendable (Int32, Int32, Int32, Out, Int32, Integers, Out, Out, Int32) -> Int32
  let potrf: @Sendable (Int32, CChar, Int32, Out, Int32) -> Int32
  let getrf: @Sendable (Int32, Int32, Int32, Out, Int32, Integers) -> Int32
}

#if PureSwift
  extension OpenBLASRoutines {
    static var float32: OpenBLASRoutines<Float>? { nil }
    static var float64: OpenBLASRoutines<Double>? { nil }
  }

  enum OpenBLAS {
    static let configuration = "no OpenBLAS"
    static let core = "none"
    static func enter<R>(threads _: Threads = .serial, _ body: () -> R) -> R { body() }
  }
#else
  private func flag(_ transposed: Bool) -> CBLAS_TRANSPOSE {
    transposed ? CblasTrans : CblasNoTrans
  }

  extension OpenBLASRoutines {
    static var float32: OpenBLASRoutines<Float>? {
      unsafe OpenBLASRoutines<Float>(
        gemm: {
          unsafe cblas_sgemm(
            CblasRowMajor, flag($0), flag($1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        },
        gemv: { unsafe cblas_sgemv(CblasRowMajor, flag($0), $1, $2, $3, $4, $5, $6, 1, $7, $8, 1) },
        syrk: {
          unsafe cblas_ssyrk(CblasRowMajor, CblasUpper, flag($0), $1, $2, $3, $4, $5, $6, $7, $8)
        },
        trsm: {
          unsafe cblas_strsm(
            CblasRowMajor, CblasLeft, $0 ? CblasLower : CblasUpper, flag($1),
            $2 ? CblasUnit : CblasNonUnit, $3, $4, 1, $5, $6, $7, $8)
        },
        gesdd: LAPACKE_sgesdd_work, gesvd: LAPACKE_sgesvd_work, syevd: LAPACKE_ssyevd_work,
        syevr: LAPACKE_ssyevr_work, gelqf: LAPACKE_sgelqf_work, geqrf: LAPACKE_sgeqrf_work,
        orglq: LAPACKE_sorglq_work, orgqr: LAPACKE_sorgqr_work, geqp3: LAPACKE_sgeqp3_work,
        potrf: LAPACKE_spotrf_work, getrf: LAPACKE_sgetrf_work)
    }

    static var float64: OpenBLASRoutines<Double>? {
      unsafe OpenBLASRoutines<Double>(
        gemm: {
          unsafe cblas_dgemm(
            CblasRowMajor, flag($0), flag($1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        },
        gemv: { unsafe cblas_dgemv(CblasRowMajor, flag($0), $1, $2, $3, $4, $5, $6, 1, $7, $8, 1) },
        syrk: {
          unsafe cblas_dsyrk(CblasRowMajor, CblasUpper, flag($0), $1, $2, $3, $4, $5, $6, $7, $8)
        },
        trsm: {
          unsafe cblas_dtrsm(
            CblasRowMajor, CblasLeft, $0 ? CblasLower : CblasUpper, flag($1),
            $2 ? CblasUnit : CblasNonUnit, $3, $4, 1, $5, $6, $7, $8)
        },
        gesdd: LAPACKE_dgesdd_work, gesvd: LAPACKE_dgesvd_work, syevd: LAPACKE_dsyevd_work,
        syevr: LAPACKE_dsyevr_work, gelqf: LAPACKE_dgelqf_work, geqrf: LAPACKE_dgeqrf_work,
        orglq: LAPACKE_dorglq_work, orgqr: LAPACKE_dorgqr_work, geqp3: LAPACKE_dgeqp3_work,
        potrf: LAPACKE_dpotrf_work, getrf: LAPACKE_dgetrf_work)
    }
  }

  enum OpenBLAS {
    static let configuration = unsafe String(cString: openblas_get_config())
      .split(separator: " ").joined(separator: " ")
    static let core = unsafe String(cString: openblas_get_corename())
    /// Whether there is memory for its required buffer.
    static var hasRoom: Bool { swl_gate_has_room(1) }

    private static let gate: Void = swl_gate_install(
      { openblas_get_num_threads() }, { openblas_set_num_threads($0) })

    /// Runs OpenBLAS on the calling thread; every call to it goes through here. When all callers
    /// have left, its thread count, which the host program may have set, is restored.
    ///
    /// - Parameter threads: The number of threads that OpenBLAS may use. Calls with more than one
    ///   take turns, and concurrent products of others may use that many.
    @inline(__always)
    static func enter<R>(threads: Threads = .serial, _ body: () -> R) -> R {
      _ = gate
      guard threads.count > 1 else {
        swl_gate_enter()
        defer { swl_gate_leave() }
        return body()
      }
      swl_gate_enter_wide(Int32(clamping: threads.count))
      defer { swl_gate_leave_wide() }
      return body()
    }
  }
#endif
