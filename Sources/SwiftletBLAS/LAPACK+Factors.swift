// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

extension LAPACK {
  /// The thin QR factorization A = Q · R of an m×n matrix: Q m×r, R r×n, r = min(m, n).
  ///
  /// For a wide matrix, the transpose that LAPACK sees is factored as L · Q, which gives this
  /// result. A tall one is transposed first: L · Q of few long rows takes more than twice as long
  /// as Q · R of few long columns.
  ///
  /// - Throws: `badInput` for NaN or infinite elements.
  /// - Complexity: O(m·n·r) time; workspace 64·n elements, and two transposed copies of a tall
  ///   matrix.
  /// - Source: LAPACK `?gelqf`, `?orglq`; `?geqrf`, `?orgqr`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func qr<T: BLASElement>(
    _ a: Tensor<T>, threads: Threads = .serial, workspace: inout Workspace<T>
  ) throws -> (q: Tensor<T>, r: Tensor<T>) {
    try a.requireMatrix("qr")
    let least = min(a.shape[0], a.shape[1])
    // Up to this many reflectors are applied one by one.
    let block = least > 32 ? 64 : 1
    try requireMemory(
      "qr", a, (least, least), workspace: Double(block) * Double(a.shape[1]))
    let (m, n) = try extents(of: a, "qr")
    try requireInstalled()
    guard m <= n else {
      let (q, r, _) = try columnQR(a, isPivoted: false, threads, &workspace)
      return (q, r)
    }
    let routines = T._routines
    let rank = min(m, n)
    var r = Tensor<T>(zeros: [rank, n])
    guard rank > 0 else { return (Tensor(zeros: [m, 0]), r) }
    var factored = a
    // To LAPACK the matrix has n rows: it needs at least n elements, and more for blocks.
    let size = min(block * n, Int(Int32.max)) + rank
    // Q is in the first r columns; the rest of the rows is cut off below.
    let info = unsafe factored.withPointer { a in
      unsafe workspace.with(size) { work, _ in
        OpenBLAS.enter(threads: threads) {
          let (tau, rest, restSize) = unsafe (work, work + rank, Int32(size - rank))
          let info = unsafe routines.openBLAS!.gelqf(
            columnMajor, Int32(n), Int32(m), a, Int32(n), tau, rest, restSize)
          guard info == 0 else { return info }
          unsafe r.withPointer { r in
            for i in 0..<rank {
              for j in i..<n { unsafe r[i * n + j] = unsafe a[i * n + j] }
            }
          }
          return unsafe routines.openBLAS!.orglq(
            columnMajor, Int32(rank), Int32(m), Int32(rank), a, Int32(n), tau, rest, restSize)
        }
      }
    }
    try check(info, "gelqf", T.self, "\(m)×\(n)")
    return (rank == n ? factored : factored.slice(axis: 1, range: 0..<rank).contiguous(), r)
  }

  /// A rank-revealing QR factorization A · P = Q · R: column `permutation[j]` of A is column j of Q
  /// · R, and the magnitudes on the diagonal of R do not increase.
  ///
  /// - Throws: As `qr`.
  /// - Complexity: O(m·n·r) time; workspace 2·n + 32·(n + 1) elements and a transposed copy.
  /// - Source: LAPACK `?geqp3`, `?orgqr`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func pivotedQR<T: BLASElement>(
    _ a: Tensor<T>, threads: Threads = .serial, workspace: inout Workspace<T>
  ) throws -> (q: Tensor<T>, r: Tensor<T>, permutation: [Int]) {
    try a.requireMatrix("pivotedQR")
    let least = min(a.shape[0], a.shape[1])
    try requireMemory("pivotedQR", a, (least, least), workspace: 34 * Double(a.shape[1]))
    _ = try extents(of: a, "pivotedQR")
    try requireInstalled()
    return try columnQR(a, isPivoted: true, threads, &workspace)
  }

  /// Q · R = A, or A · P, for the columns of A as LAPACK sees them.
  private static func columnQR<T: BLASElement>(
    _ a: Tensor<T>, isPivoted: Bool, _ threads: Threads, _ workspace: inout Workspace<T>
  ) throws -> (q: Tensor<T>, r: Tensor<T>, permutation: [Int]) {
    let routines = T._routines
    let (m, n) = (a.shape[0], a.shape[1])
    let rank = min(m, n)
    var r = Tensor<T>(zeros: [rank, n])
    guard rank > 0 else { return (Tensor(zeros: [m, 0]), r, Array(0..<n)) }
    var columns = transposed(a)
    // Without pivots the columns keep their positions.
    var pivots = isPivoted ? [Int32](repeating: 0, count: n) : (1...Int32(n)).map { $0 }
    let name = isPivoted ? "geqp3" : "geqrf"
    let least = isPivoted ? max(3 * n + 1, 2 * n + 32 * (n + 1)) : 64 * n
    let size = try count(least, "\(name) of \(m)×\(n)") + rank
    var pivotSpan = pivots.mutableSpan
    let info = unsafe columns.withPointer { a in
      unsafe pivotSpan.withUnsafeMutableBufferPointer { pivots in
        unsafe workspace.with(size) { work, _ in
          OpenBLAS.enter(threads: threads) {
            let (tau, rest, restSize) = unsafe (work, work + rank, Int32(size - rank))
            let info =
              unsafe isPivoted
              ? routines.openBLAS!.geqp3(
                columnMajor, Int32(m), Int32(n), a, Int32(m), pivots.baseAddress, tau, rest,
                restSize)
              : routines.openBLAS!.geqrf(
                columnMajor, Int32(m), Int32(n), a, Int32(m), tau, rest, restSize)
            guard info == 0 else { return info }
            unsafe r.withPointer { r in
              for i in 0..<rank {
                for j in i..<n { unsafe r[i * n + j] = unsafe a[j * m + i] }
              }
            }
            return unsafe routines.openBLAS!.orgqr(
              columnMajor, Int32(m), Int32(rank), Int32(rank), a, Int32(m), tau, rest, restSize)
          }
        }
      }
    }
    try check(info, name, T.self, "\(m)×\(n)")
    var q = Tensor<T>(uninitialized: [m, rank])
    q.withView { q in columns.withView { q.copy($0.rowBlock(0..<rank).transposed) } }
    return (q, r, pivots.map { Int($0) - 1 })
  }

  /// The lower triangle L with A = L · Lᵀ of a symmetric positive definite matrix. Reads only the
  /// lower triangle of A.
  ///
  /// - Throws: `badInput` for NaN, infinite elements or a matrix that is not square; `numerical` if
  ///   it is not positive definite; `outOfMemory`.
  /// - Source: LAPACK `?potrf`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func cholesky<T: BLASElement>(_ a: Tensor<T>, threads: Threads = .serial) throws -> Tensor<T>
  {
    try a.requireMatrix("cholesky")
    try requireMemory("cholesky", a, (0, 0), workspace: 0)
    let n = try order(of: a, "cholesky", reading: .lower)
    try requireInstalled()
    let routines = T._routines
    var l = a
    guard n > 0 else { return l }
    let info = unsafe l.withPointer { a in
      let info = OpenBLAS.enter(threads: threads) {
        unsafe routines.openBLAS!.potrf(columnMajor, code("U"), Int32(n), a, Int32(n))
      }
      for i in 0..<n {
        for j in i + 1..<n { unsafe a[i * n + j] = 0 }
      }
      return info
    }
    guard info <= 0 else { throw notPositiveDefinite(minor: Int(info), n) }
    try check(info, "potrf", T.self, "\(n)×\(n)")
    return l
  }

  package static func notPositiveDefinite(minor: Int, _ n: Int) -> SwiftletError {
    SwiftletError(
      .numerical, "the matrix is not positive definite (leading minor \(minor))", at: "\(n)×\(n)",
      mend: "add a small multiple of the identity, or use its eigenvalues")
  }

  /// The factors of P · A = L · U in one n×n matrix (L without its unit diagonal), and P: row i of
  /// P · A is row `permutation[i]` of A. Singular matrices can be factored too: U then has a zero
  /// on its diagonal.
  ///
  /// - Throws: `badInput` for NaN, infinite elements or a matrix that is not square.
  /// - Source: LAPACK `?getrf`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func lu<T: BLASElement>(
    _ a: Tensor<T>, threads: Threads = .serial
  ) throws -> (factors: Tensor<T>, permutation: [Int], isOdd: Bool) {
    try a.requireMatrix("lu")
    try requireMemory("lu", a, (0, a.shape[1]), workspace: 0)
    let n = try order(of: a, "lu")
    try requireInstalled()
    let routines = T._routines
    guard n > 0 else { return (a, [], false) }
    // LAPACK must see A itself, because it permutes rows.
    var columns = transposed(a)
    var factors = a
    var pivots = [Int32](repeating: 0, count: n)
    var pivotSpan = pivots.mutableSpan
    let info = unsafe columns.withPointer { a in
      unsafe pivotSpan.withUnsafeMutableBufferPointer { pivots in
        OpenBLAS.enter(threads: threads) {
          unsafe routines.openBLAS!.getrf(
            columnMajor, Int32(n), Int32(n), a, Int32(n), pivots.baseAddress)
        }
      }
    }
    try check(min(info, 0), "getrf", T.self, "\(n)×\(n)")
    factors.withView { target in columns.withView { target.copy($0.transposed) } }
    var permutation = Array(0..<n)
    var isOdd = false
    for (i, pivot) in pivots.enumerated() where Int(pivot) - 1 != i {
      permutation.swapAt(i, Int(pivot) - 1)
      isOdd.toggle()
    }
    return (factors, permutation, isOdd)
  }
}
