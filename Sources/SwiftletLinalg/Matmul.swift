// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// op(a) · op(b) of two matrices, with rows divided among the threads. Transposed views are read in
/// place.
///
/// - Throws: `badInput` unless both are of rank 2 and the inner extents agree.
/// - Complexity: 2·m·n·k operations.
/// - Source: BLAS `?gemm`.
public func matmul<T: BLASElement>(
  _ a: Tensor<T>, _ b: Tensor<T>, transposeA: Bool = false, transposeB: Bool = false,
  threads: Threads = .serial
) throws -> Tensor<T> {
  guard a.shape.rank == 2, b.shape.rank == 2,
    a.shape[transposeA ? 0 : 1] == b.shape[transposeB ? 1 : 0]
  else {
    throw SwiftletError(
      .badInput, "matrices of shapes \(a.shape) and \(b.shape) cannot be multiplied",
      mend: "the inner extents must agree")
  }
  return matrixProduct(a, b, transposeA: transposeA, transposeB: transposeB, threads: threads)
}

/// As ``matmul(_:_:transposeA:transposeB:threads:)``, for shapes known to match.
///
/// - Precondition: Rank 2, and the inner extents agree.
@specialized(where T == Float)
@specialized(where T == Double)
package func matrixProduct<T: BLASElement>(
  _ a: Tensor<T>, _ b: Tensor<T>, transposeA: Bool = false, transposeB: Bool = false,
  threads: Threads = .serial
) -> Tensor<T> {
  precondition(a.shape.rank == 2 && b.shape.rank == 2, "matmul of \(a.shape) and \(b.shape)")
  let (left, flipA) = a.asStored(transposeA)
  let (right, flipB) = b.asStored(transposeB)
  let (m, k) = flipA ? (left.shape[1], left.shape[0]) : (left.shape[0], left.shape[1])
  let (depth, n) = flipB ? (right.shape[1], right.shape[0]) : (right.shape[0], right.shape[1])
  precondition(k == depth, "matmul of inner extents \(k) and \(depth)")
  guard m > 0, n > 0, k > 0 else { return Tensor(zeros: [m, n]) }
  var product = Tensor<T>(uninitialized: [m, n])
  threads.forEachBlock(of: &product, minimumWork: 1 + (1 << 16) / k) { rows, output in
    let start = flipA ? rows.lowerBound : rows.lowerBound * k
    BLAS.gemm(
      m: rows.count, n: n, k: k, a: left.span.extracting(start...), lda: left.shape[1],
      transposeA: flipA, b: right.span, ldb: right.shape[1], transposeB: flipB, c: &output, ldc: n)
  }
  return product
}

/// op(a[i]) · op(b[i]) of every pair of matrices, with pairs divided among the threads: B×m×k
/// and B×k×n give B×m×n.
///
/// - Throws: `badInput` unless both are of rank 3, and batches and inner extents agree.
/// - Complexity: 2·B·m·n·k operations.
@specialized(where T == Float)
@specialized(where T == Double)
public func batchedMatmul<T: BLASElement>(
  _ a: Tensor<T>, _ b: Tensor<T>, transposeA: Bool = false, transposeB: Bool = false,
  threads: Threads = .serial
) throws -> Tensor<T> {
  guard a.shape.rank == 3, b.shape.rank == 3, a.shape[0] == b.shape[0],
    a.shape[transposeA ? 1 : 2] == b.shape[transposeB ? 2 : 1]
  else {
    throw SwiftletError(
      .badInput, "batches of shapes \(a.shape) and \(b.shape) cannot be multiplied",
      mend: "batches and inner extents must agree")
  }
  let (m, k) = transposeA ? (a.shape[2], a.shape[1]) : (a.shape[1], a.shape[2])
  let n = b.shape[transposeB ? 1 : 2]
  guard m > 0, n > 0, k > 0 else { return Tensor(zeros: [a.shape[0], m, n]) }
  let (left, right) = (a.contiguous(), b.contiguous())
  var products = Tensor<T>(uninitialized: [a.shape[0], m, n])
  threads.forEachBlock(of: &products, minimumWork: 1 + (1 << 16) / k) { batch, output in
    for index in batch {
      let place = (index - batch.lowerBound) * m * n
      var target = output.part(place..<place + m * n)
      BLAS.gemm(
        m: m, n: n, k: k, a: left.span.extracting(index * m * k..<(index + 1) * m * k),
        lda: left.shape[2], transposeA: transposeA,
        b: right.span.extracting(index * k * n..<(index + 1) * k * n), ldb: right.shape[2],
        transposeB: transposeB, c: &target, ldc: n)
    }
  }
  return products
}

extension Tensor where Element: BLASElement {
  /// A packed matrix and a flag that together give op(self): the original of a transposed view, so
  /// that it need not be copied.
  fileprivate func asStored(_ transpose: Bool) -> (matrix: Tensor, transpose: Bool) {
    if isContiguous { return (self, transpose) }
    let original = transposed()
    return original.isContiguous ? (original, !transpose) : (contiguous(), transpose)
  }
}
