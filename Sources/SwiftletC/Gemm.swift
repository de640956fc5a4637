// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletBLAS
import SwiftletCore

@c @implementation
public func swiftlet_gemm_f32(
  _ transposeA: Int32, _ transposeB: Int32, _ m: Int64, _ n: Int64, _ k: Int64, _ alpha: Float,
  _ a: UnsafePointer<Float>?, _ lda: Int64, _ b: UnsafePointer<Float>?, _ ldb: Int64,
  _ beta: Float, _ c: UnsafeMutablePointer<Float>?, _ ldc: Int64, _ threads: Int32
) -> swiftlet_status {
  unsafe gemm(
    transposeA != 0, transposeB != 0, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, threads)
}

@c @implementation
public func swiftlet_gemm_f64(
  _ transposeA: Int32, _ transposeB: Int32, _ m: Int64, _ n: Int64, _ k: Int64, _ alpha: Double,
  _ a: UnsafePointer<Double>?, _ lda: Int64, _ b: UnsafePointer<Double>?, _ ldb: Int64,
  _ beta: Double, _ c: UnsafeMutablePointer<Double>?, _ ldc: Int64, _ threads: Int32
) -> swiftlet_status {
  unsafe gemm(
    transposeA != 0, transposeB != 0, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, threads)
}

private func gemm<T: BLASElement>(
  _ transposeA: Bool, _ transposeB: Bool, _ m: Int64, _ n: Int64, _ k: Int64, _ alpha: T,
  _ a: UnsafePointer<T>?, _ lda: Int64, _ b: UnsafePointer<T>?, _ ldb: Int64,
  _ beta: T, _ c: UnsafeMutablePointer<T>?, _ ldc: Int64, _ threads: Int32
) -> swiftlet_status {
  call {
    let (m, n, k) = try (
      Arguments.extent(m, "m"), Arguments.extent(n, "n"), Arguments.extent(k, "k")
    )
    let a = try unsafe Matrix(
      a, "a", rows: transposeA ? k : m, columns: transposeA ? m : k, leading: lda)
    let b = try unsafe Matrix(
      b, "b", rows: transposeB ? n : k, columns: transposeB ? k : n, leading: ldb)
    let c = try unsafe Matrix(c, "c", rows: m, columns: n, leading: ldc)
    try c.requireApart(from: a)
    try c.requireApart(from: b)
    let threads = try Arguments.threads(threads)
    guard c.count > 0 else { return }
    guard k > 0 else { return scale(c, by: beta) }
    // The longer side is divided into pieces of a minimum size.
    let cutsRows = m >= n
    let work = k * min(m, n)
    threads.forEachRange(cutsRows ? m : n, minimumLength: 1 + (1 << 16) / work) { range in
      let (rows, columns) = cutsRows ? (range, 0..<n) : (0..<m, range)
      let left =
        unsafe transposeA
        ? a.span(column: rows.lowerBound) : a.span(row: rows.lowerBound)
      let right =
        unsafe transposeB
        ? b.span(row: columns.lowerBound) : b.span(column: columns.lowerBound)
      var target = unsafe MutableSpan(
        _unsafeElements: c.mutableSpan(rows: rows, columns: columns))
      BLAS.gemm(
        m: rows.count, n: columns.count, k: k, alpha: alpha,
        a: unsafe Span(_unsafeElements: left), lda: max(1, a.leading), transposeA: transposeA,
        b: unsafe Span(_unsafeElements: right), ldb: max(1, b.leading), transposeB: transposeB,
        beta: beta, c: &target, ldc: c.leading)
    }
  }
}

/// The result of a product of empty matrices.
private func scale<T: BLASElement>(_ c: Matrix<T>, by beta: T) {
  for row in 0..<c.rows {
    for column in 0..<c.columns {
      let element = unsafe c.start + row * c.leading + column
      unsafe element.pointee = beta == 0 ? 0 : beta * element.pointee
    }
  }
}
