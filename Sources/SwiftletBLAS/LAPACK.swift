// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Factorizations by LAPACK, through LAPACKE. In a build with the trait `PureSwift` all of them
/// throw `unsupported`; SwiftletLinalg then uses its own.
///
/// Matrices are packed and row-major. LAPACK sees them as column-major transposes, which costs
/// nothing: the SVD of Aᵀ swaps U and Vᵀ, and a symmetric matrix equals its transpose.
public enum LAPACK {
  /// The LAPACK algorithm for a singular value decomposition.
  public enum SVDDriver: String, Sendable {
    /// Divide and conquer.
    case gesdd
    /// Implicit QR: much slower, slightly more robust.
    case gesvd
  }

  /// Whether this build has LAPACK.
  public static var isInstalled: Bool { Double._routines.openBLAS != nil }

  /// The singular value decomposition A = U · diag(s) · Vᵀ of an m×n matrix, with r = min(m, n):
  /// U m×r, s in descending order, Vᵀ r×n; or U m×m and Vᵀ n×n if `full`.
  ///
  /// - Parameter threads: The number of threads that OpenBLAS may use.
  /// - Throws: `badInput` for NaN or infinite elements; `numerical` if the iteration stalls;
  ///   `outOfMemory`; `unsupported` if the workspace exceeds 32 bits.
  /// - Complexity: O(m·n·r) time; workspace 4·r² + 7·r elements and more for blocking.
  /// - Source: LAPACK `?gesdd`, `?gesvd`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func svd<T: BLASElement>(
    _ a: Tensor<T>, full: Bool = false, driver: SVDDriver = .gesdd, threads: Threads = .serial,
    workspace: inout Workspace<T>
  ) throws -> (u: Tensor<T>, s: [T], vt: Tensor<T>) {
    try a.requireMatrix("svd")
    let (m, n) = (a.shape[0], a.shape[1])
    let rank = min(m, n)
    let (left, right) = full ? (m, n) : (rank, rank)
    // A tall matrix is transposed, and so are its factors.
    try requireMemory(
      "svd", a, m > n ? (2 * left + n, 2 * right) : (left, right),
      workspace: driver == .gesdd ? 4 * Double(rank) * Double(rank) : 0)
    _ = try extents(of: a, "svd")
    var u = Tensor<T>(uninitialized: [m, left])
    var vt = Tensor<T>(uninitialized: [right, n])
    var s = [T](repeating: 0, count: rank)
    guard rank > 0 else {
      u.withView { $0.setIdentity() }
      vt.withView { $0.setIdentity() }
      return (u, s, vt)
    }
    if m > n {
      // Without the transpose, LAPACK would see a wide matrix and start with its L · Q, which takes
      // more than twice as long as the Q · R of a tall one.
      var (v, values, ut) = try svd(
        transposed(a), full: full, driver: driver, threads: threads, workspace: &workspace)
      u.withView { u in ut.withView { u.copy($0.transposed) } }
      vt.withView { vt in v.withView { vt.copy($0.transposed) } }
      return (u, values, vt)
    }
    // Column-major n×m: its left factor is our Vᵀ (as columns), its right one our U.
    try call(driver, job: full ? "A" : "S", m, n, a, &s, &vt, n, &u, left, threads, &workspace)
    return (u, s, vt)
  }

  /// The singular values of a matrix, in descending order.
  ///
  /// - Throws: As `svd`.
  /// - Source: LAPACK `?gesdd` with job `N`.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public static func singularValues<T: BLASElement>(
    of a: Tensor<T>, driver: SVDDriver = .gesdd, threads: Threads = .serial, workspace: inout Workspace<T>
  ) throws -> [T] {
    try a.requireMatrix("singularValues")
    try requireMemory("singularValues", a, (0, 0), workspace: 0)
    let (m, n) = try extents(of: a, "singularValues")
    var s = [T](repeating: 0, count: min(m, n))
    guard !s.isEmpty else { return s }
    if m > n {
      return try singularValues(
        of: transposed(a), driver: driver, threads: threads, workspace: &workspace)
    }
    var unused = Tensor<T>(uninitialized: [1])
    var alsoUnused = unused
    try call(driver, job: "N", m, n, a, &s, &unused, 1, &alsoUnused, 1, threads, &workspace)
    return s
  }

  private static func call<T: BLASElement>(
    _ driver: SVDDriver, job: Unicode.Scalar, _ m: Int, _ n: Int, _ a: Tensor<T>, _ s: inout [T],
    _ left: inout Tensor<T>, _ ldLeft: Int, _ right: inout Tensor<T>, _ ldRight: Int,
    _ threads: Threads, _ workspace: inout Workspace<T>
  ) throws {
    let routines = T._routines
    try requireInstalled()
    let least = least(driver, job: job, m, n)
    let job = CChar(job.value)
    let rank = min(m, n)
    var sSpan = s.mutableSpan
    let info = try unsafe left.withPointer { left in
      try unsafe right.withPointer { right in
        try unsafe sSpan.withUnsafeMutableBufferPointer { s in
          let values = s.baseAddress
          func run(
            _ a: UnsafeMutablePointer<T>, _ work: UnsafeMutablePointer<T>, _ size: Int,
            _ integers: UnsafeMutablePointer<Int32>
          ) -> Int32 {
            switch driver {
            case .gesdd:
              unsafe routines.openBLAS!.gesdd(
                columnMajor, job, Int32(n), Int32(m), a, Int32(n), values, left, Int32(ldLeft),
                right, Int32(ldRight), work, Int32(size), integers)
            case .gesvd:
              unsafe routines.openBLAS!.gesvd(
                columnMajor, job, job, Int32(n), Int32(m), a, Int32(n), values, left,
                Int32(ldLeft), right, Int32(ldRight), work, Int32(size))
            }
          }
          var asked: T = 0
          var unused: Int32 = 0
          _ = unsafe run(left, &asked, -1, &unused)
          let size = try count(max(Int(asked), least), "\(driver.rawValue) of \(m)×\(n)")
          // The routine overwrites its matrix, so it gets a copy placed before its workspace.
          return unsafe workspace.with(m * n + size, integers: 8 * rank) { work, integers in
            unsafe a.copyElements(to: work)
            return OpenBLAS.enter(threads: threads) {
              unsafe run(work, work + m * n, size, integers)
            }
          }
        }
      }
    }
    try check(info, driver.rawValue, T.self, "\(m)×\(n)")
  }

  /// The documented minimum size of a workspace, in case the routine's own answer was rounded down:
  /// from 2²⁴ elements on, `Float` does so.
  package static func least(
    _ driver: SVDDriver, job: Unicode.Scalar, _ m: Int, _ n: Int
  ) -> Int {
    let (rank, longer) = (min(m, n), max(m, n))
    return switch driver {
    case .gesdd: job == "N" ? 3 * rank + max(longer, 7 * rank) : 4 * rank * rank + 7 * rank + longer
    case .gesvd: 5 * rank + longer
    }
  }

  /// Whether `?gesdd` can compute the vectors of an m×n matrix. LAPACK counts its workspace in 32
  /// bits, which is enough up to 23 169 singular values. Values alone have no such limit.
  package static func canFindVectors(_ m: Int, _ n: Int) -> Bool {
    // Somewhat more than the minimum, for blocks.
    least(.gesdd, job: "S", m, n) + 192 * min(m, n) <= Int(Int32.max)
  }

  // MARK: Shared steps

  /// A packed copy of Aᵀ, so that LAPACK sees A.
  static func transposed<T: BLASElement>(_ a: Tensor<T>) -> Tensor<T> {
    var (source, copy) = (a, Tensor<T>(uninitialized: [a.shape[1], a.shape[0]]))
    copy.withView { copy in source.withView { copy.copy($0.transposed) } }
    return copy
  }

  /// LAPACK_COL_MAJOR.
  static let columnMajor: Int32 = 102

  static func requireInstalled() throws {
    guard isInstalled else {
      throw SwiftletError(
        .unsupported, "this build has no LAPACK", mend: "build without the trait PureSwift")
    }
  }

  /// Checks that there is memory for the factors of an m×n matrix, with `left` columns of m and
  /// `right` rows of n elements, for a working copy, and for the workspace.
  static func requireMemory<T: BLASElement>(
    _ operation: String, _ a: Tensor<T>, _ factors: (left: Int, right: Int), workspace: Double
  ) throws {
    let (m, n) = (Double(a.shape[0]), Double(a.shape[1]))
    let copies = a.isContiguous ? m * n : 2 * m * n
    try MemoryLimit.require(
      copies + m * Double(factors.left) + n * Double(factors.right) + workspace + 192 * min(m, n),
      of: T.self, for: "\(operation) of \(a.shape)")
  }

  /// The extents of a matrix, checked for LAPACK.
  ///
  /// - Throws: `badInput` for NaN or infinite elements, `unsupported` beyond 32-bit sizes.
  static func extents<T: BLASElement>(
    of a: Tensor<T>, _ operation: String
  ) throws -> (m: Int, n: Int) {
    try a.requireFiniteMatrix(operation)
    guard a.shape[0] <= Int(Int32.max), a.shape[1] <= Int(Int32.max) else {
      throw SwiftletError(
        .unsupported, "\(operation) of a \(a.shape) matrix exceeds LAPACK's 32-bit sizes")
    }
    return (a.shape[0], a.shape[1])
  }

  /// LAPACK counts its workspace in 32 bits.
  static func count(_ size: Int, _ what: String) throws -> Int {
    guard size <= Int(Int32.max) else {
      throw SwiftletError(
        .unsupported, "\(what) needs a workspace of \(size) elements, beyond LAPACK's 32 bits")
    }
    return size
  }

  static func check<T: BLASElement>(
    _ info: Int32, _ routine: String, _: T.Type, _ size: String
  ) throws {
    guard info != 0 else { return }
    let name = (T.dtype == .float32 ? "s" : "d") + routine
    throw info > 0
      ? SwiftletError(.numerical, "\(name) did not converge (info \(info))", at: size)
      : SwiftletError(.internal, "\(name) failed (info \(info))", at: size)
  }
}

extension Tensor where Element: BLASElement {
  /// Copies the elements in row-major order.
  func copyElements(to target: UnsafeMutablePointer<Element>) {
    let packed = contiguous()
    unsafe packed.span.withUnsafeBufferPointer {
      guard let start = $0.baseAddress else { return }
      unsafe target.update(from: start, count: $0.count)
    }
  }

  /// Lends the address of the elements, packed and owned by this tensor alone.
  mutating func withPointer<R>(
    _ body: (UnsafeMutablePointer<Element>) throws -> R
  ) rethrows -> R {
    var span = mutableSpan
    return try unsafe span.withUnsafeMutableBufferPointer { try unsafe body($0.baseAddress!) }
  }
}
