public import SwiftletBLAS
public import SwiftletCore

/// op(a) · op(b) of two matrices, its rows split over the pool.
///
/// - Precondition: Rank 2, and the inner extents agree.
/// - Complexity: 2·m·n·k operations.
/// - Source: BLAS `?gemm`.
public func matmul<T: BLASElement>(
  _ a: Tensor<T>, _ b: Tensor<T>, transposeA: Bool = false, transposeB: Bool = false,
  pool: ThreadPool = .serial
) -> Tensor<T> {
  precondition(a.shape.rank == 2 && b.shape.rank == 2, "matmul of \(a.shape) and \(b.shape)")
  let (m, k) = transposeA ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
  let (depth, n) = transposeB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
  precondition(k == depth, "matmul of inner extents \(k) and \(depth)")
  let (left, right) = (a.contiguous(), b.contiguous())
  var product = Tensor<T>(zeros: [m, n])
  guard m > 0, n > 0, k > 0 else { return product }
  pool.forEachBlock(of: &product, minimumWork: 1 + (1 << 16) / k) { rows, output in
    let start = transposeA ? rows.lowerBound : rows.lowerBound * k
    BLAS.gemm(
      m: rows.count, n: n, k: k, a: left.span.extracting(start...), lda: left.shape[1],
      transposeA: transposeA, b: right.span, ldb: right.shape[1], transposeB: transposeB,
      c: &output, ldc: n)
  }
  return product
}
