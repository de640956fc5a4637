// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Products of row-major matrices and vectors, on the calling thread.
///
/// OpenBLAS is used if it passes its ``SelfCheck``, otherwise our own Swift kernels. OpenBLAS is
/// limited to one thread during a call: `Threads` divides parallel work, and OpenBLAS' own threads
/// would compete with ours.
///
/// Matrices are spans with a leading dimension: the distance, in elements, between the starts of
/// consecutive rows.
public enum BLAS {
  /// C = alpha · op(A) · op(B) + beta · C, with C m×n, op(A) m×k and op(B) k×n.
  ///
  /// With `beta` 0 the previous contents of C are ignored, even NaN. Cost: 2·m·n·k operations.
  ///
  /// - Precondition: The spans hold the matrices; leading dimensions are at least the row lengths.
  /// - Source: BLAS `?gemm`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func gemm<T: BLASElement>(
    m: Int, n: Int, k: Int, alpha: T = 1, a: Span<T>, lda: Int, transposeA: Bool = false,
    b: Span<T>, ldb: Int, transposeB: Bool = false, beta: T = 0, c: inout MutableSpan<T>, ldc: Int
  ) {
    guard m > 0, n > 0 else { return }
    checkExtent(rows: transposeA ? k : m, columns: transposeA ? m : k, leading: lda, a.count, "A")
    checkExtent(rows: transposeB ? n : k, columns: transposeB ? k : n, leading: ldb, b.count, "B")
    checkExtent(rows: m, columns: n, leading: ldc, c.count, "C")
    unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeBufferPointer { b in
        unsafe c.withUnsafeMutableBufferPointer { c in
          if k > 0, alpha != 0, Backend.current.usesOpenBLAS {
            return OpenBLAS.enter {
              unsafe T._routines.openBLAS!.gemm(
                transposeA, transposeB, Int32(m), Int32(n), Int32(k), alpha, a.baseAddress,
                Int32(lda), b.baseAddress, Int32(ldb), beta, c.baseAddress, Int32(ldc))
            }
          }
          let target = unsafe MatrixView(c.baseAddress!, rows: m, columns: n, rowStep: ldc)
          target.scale(by: beta)
          guard k > 0, alpha != 0 else { return }
          let left = unsafe MatrixView(
            a.baseAddress!, rows: transposeA ? k : m, columns: transposeA ? m : k, rowStep: lda)
          let right = unsafe MatrixView(
            b.baseAddress!, rows: transposeB ? n : k, columns: transposeB ? k : n, rowStep: ldb)
          target.add(
            alpha, transposeA ? left.transposed : left, transposeB ? right.transposed : right)
        }
      }
    }
  }

  /// y = alpha · op(A) · x + beta · y, with A m×n as stored; x and y are packed.
  ///
  /// - Precondition: The spans hold the matrix and vectors.
  /// - Source: BLAS `?gemv`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func gemv<T: BLASElement>(
    m: Int, n: Int, alpha: T = 1, a: Span<T>, lda: Int, transposeA: Bool = false, x: Span<T>,
    beta: T = 0, y: inout MutableSpan<T>
  ) {
    let (rows, depth) = transposeA ? (n, m) : (m, n)
    guard rows > 0 else { return }
    checkExtent(rows: m, columns: n, leading: lda, a.count, "A")
    precondition(x.count >= depth && y.count >= rows, "gemv: \(x.count) and \(y.count) elements")
    unsafe a.withUnsafeBufferPointer { a in
      unsafe x.withUnsafeBufferPointer { x in
        unsafe y.withUnsafeMutableBufferPointer { y in
          if depth > 0, alpha != 0, Backend.current.usesOpenBLAS {
            return OpenBLAS.enter {
              unsafe T._routines.openBLAS!.gemv(
                transposeA, Int32(m), Int32(n), alpha, a.baseAddress, Int32(lda), x.baseAddress,
                beta, y.baseAddress)
            }
          }
          unsafe MatrixView(y.baseAddress!, rows: 1, columns: rows, rowStep: rows).scale(by: beta)
          guard depth > 0, alpha != 0 else { return }
          let kernels = T._routines.kernels
          let product = unsafe transposeA ? kernels.gemvTransposed : kernels.gemv
          unsafe product(m, n, alpha, a.baseAddress!, lda, x.baseAddress!, y.baseAddress!)
        }
      }
    }
  }

  /// C = alpha · op(A) · op(A)ᵀ + beta · C, with C n×n and op(A) n×k. Reads and writes only the
  /// upper triangle of C.
  ///
  /// - Precondition: The spans hold the matrices.
  /// - Source: BLAS `?syrk`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func syrk<T: BLASElement>(
    n: Int, k: Int, alpha: T = 1, a: Span<T>, lda: Int, transposeA: Bool = false, beta: T = 0,
    c: inout MutableSpan<T>, ldc: Int
  ) {
    guard n > 0 else { return }
    checkExtent(rows: transposeA ? k : n, columns: transposeA ? n : k, leading: lda, a.count, "A")
    checkExtent(rows: n, columns: n, leading: ldc, c.count, "C")
    unsafe a.withUnsafeBufferPointer { a in
      unsafe c.withUnsafeMutableBufferPointer { c in
        if k > 0, alpha != 0, Backend.current.usesOpenBLAS {
          return OpenBLAS.enter {
            unsafe T._routines.openBLAS!.syrk(
              transposeA, Int32(n), Int32(k), alpha, a.baseAddress, Int32(lda), beta,
              c.baseAddress, Int32(ldc))
          }
        }
        let target = unsafe MatrixView(c.baseAddress!, rows: n, columns: n, rowStep: ldc)
        for i in 0..<n { target.block(i..<i + 1, i..<n).scale(by: beta) }
        guard k > 0, alpha != 0 else { return }
        let stored = unsafe MatrixView(
          a.baseAddress!, rows: transposeA ? k : n, columns: transposeA ? n : k, rowStep: lda)
        let left = transposeA ? stored.transposed : stored
        target.addUpper(alpha, left, left.transposed)
      }
    }
  }

  /// X = op(A)⁻¹ · B for a triangular n×n matrix A; X, n×columns, replaces B.
  ///
  /// - Parameters:
  ///   - isLower: Whether the lower triangle of A, as stored, is read.
  ///   - isUnit: Whether the diagonal is taken to be ones and not read.
  /// - Precondition: The spans hold the matrices.
  /// - Source: BLAS `?trsm`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func trsm<T: BLASElement>(
    n: Int, columns: Int, a: Span<T>, lda: Int, isLower: Bool, isUnit: Bool = false,
    transposeA: Bool = false, b: inout MutableSpan<T>, ldb: Int
  ) {
    guard n > 0, columns > 0 else { return }
    checkExtent(rows: n, columns: n, leading: lda, a.count, "A")
    checkExtent(rows: n, columns: columns, leading: ldb, b.count, "B")
    unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeMutableBufferPointer { b in
        // OpenBLAS multiplies by reciprocals of the diagonal, which overflow for the smallest
        // numbers.
        let isSafe =
          isUnit
          || (0..<n).allSatisfy { i in
            let pivot = unsafe a[i * lda + i]
            return pivot == 0 || (1 / pivot).isFinite
          }
        if isSafe, Backend.current.usesOpenBLAS {
          return OpenBLAS.enter {
            unsafe T._routines.openBLAS!.trsm(
              isLower, transposeA, isUnit, Int32(n), Int32(columns), a.baseAddress, Int32(lda),
              b.baseAddress, Int32(ldb))
          }
        }
        let stored = unsafe MatrixView(a.baseAddress!, rows: n, columns: n, rowStep: lda)
        let target = unsafe MatrixView(b.baseAddress!, rows: n, columns: columns, rowStep: ldb)
        target.solve(
          transposeA ? stored.transposed : stored, isLower: isLower != transposeA, isUnit: isUnit)
      }
    }
  }

  private static func checkExtent(
    rows: Int, columns: Int, leading: Int, _ count: Int, _ name: String
  ) {
    precondition(
      leading >= max(1, columns) && leading <= Int(Int32.max) && rows <= Int(Int32.max)
        && (rows == 0 || (rows - 1) * leading + columns <= count),
      "BLAS: \(name) is \(rows)×\(columns) with leading dimension \(leading), in \(count) elements")
  }
}
