// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// A = L · Lᵀ of a symmetric positive definite matrix, L lower triangular.
public struct Cholesky<T: BLASElement>: Sendable {
  /// n×n, lower triangular, with a positive diagonal; zeros above it.
  public let l: Tensor<T>

  /// Reads only the lower triangle: elements above the diagonal may be NaN.
  ///
  /// - Throws: `badInput` for NaN, infinite elements or a matrix that is not square; `numerical` if
  ///   it is not positive definite; `outOfMemory`; `unsupported` for LAPACK in a build without it.
  /// - Complexity: n³ / 3 operations.
  /// - Source: LAPACK `?potrf`.
  public init(
    _ matrix: Tensor<T>, backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial
  ) throws {
    switch backend {
    case .lapack: l = try LAPACK.cholesky(matrix, threads: threads)
    case .swift:
      try matrix.requireMemory("cholesky", copies: 1)
      try matrix.requireFiniteSquareMatrix("cholesky", reading: .lower)
      l = try SwiftSolve.cholesky(matrix)
    }
  }

  /// X with A · X = B, for B n×k.
  ///
  /// - Throws: `badInput` unless B is a matrix with n rows.
  public func solve(_ b: Tensor<T>) throws -> Tensor<T> {
    try requireRightHandSide(b, rows: l.shape[0])
    var x = b
    l.solveTriangular(isLower: true, &x)
    l.solveTriangular(isLower: true, transposed: true, &x)
    return x
  }
}

/// P · A = L · U of a square matrix by partial pivoting.
public struct LU<T: BLASElement>: Sendable {
  private let factors: Tensor<T>
  /// Row i of P · A is row `permutation[i]` of A.
  public let permutation: [Int]
  private let isOdd: Bool

  /// - Throws: `badInput` for NaN, infinite elements or a matrix that is not square, `unsupported`
  ///   for LAPACK in a build without it. Singular matrices are factored too.
  /// - Complexity: 2·n³ / 3 operations.
  /// - Source: LAPACK `?getrf`.
  public init(
    _ matrix: Tensor<T>, backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial
  ) throws {
    try matrix.requireMemory("lu", copies: 2)
    // LAPACK multiplies by the reciprocals of pivots, which overflow for the smallest numbers.
    if backend == .lapack, !LAPACK.isInstalled || !matrix.hasTinyElements {
      (factors, permutation, isOdd) = try LAPACK.lu(matrix, threads: threads)
    } else {
      try matrix.requireFiniteSquareMatrix("lu")
      (factors, permutation, isOdd) = SwiftSolve.lu(matrix)
    }
  }

  /// The unit lower triangle.
  public var l: Tensor<T> { factors.triangle { $0 > $1 ? nil : $0 == $1 ? 1 : 0 } }
  /// The upper triangle.
  public var u: Tensor<T> { factors.triangle { $0 <= $1 ? nil : 0 } }

  /// The determinant of A; infinite or 0 where it is out of the range of `T`.
  ///
  /// - Complexity: O(n).
  public var determinant: T {
    (0..<permutation.count).reduce(isOdd ? -1 : 1) { $0 * factors[$1, $1] }
  }

  /// X with A · X = B, for B n×k.
  ///
  /// - Throws: `numerical` if the matrix is singular, `badInput` unless B is a matrix with n rows.
  public func solve(_ b: Tensor<T>) throws -> Tensor<T> {
    let n = permutation.count
    try requireRightHandSide(b, rows: n)
    if let zero = (0..<n).first(where: { factors[$0, $0] == 0 }) {
      throw SwiftletError(
        .numerical, "the matrix is singular (pivot \(zero + 1))", at: "\(n)×\(n)",
        mend: "use leastSquares")
    }
    var source = b
    var x = Tensor<T>(uninitialized: b.shape)
    x.withView { x in
      source.withView { b in
        x.copyRows(permutation, of: b)
      }
    }
    factors.solveTriangular(isLower: true, isUnit: true, &x)
    factors.solveTriangular(isLower: false, &x)
    return x
  }
}

/// The X of minimum ‖X‖ among those that minimize ‖A · X − B‖, column by column; A m×n, B m×k, X
/// n×k.
///
/// A matrix of provably full rank, with ‖R‖·‖R⁻¹‖ below 1 / tolerance, is solved by QR; any other
/// by its singular values, of which those below the tolerance count as 0. The tolerance is relative
/// to the largest one, and max(m, n) · ε by default.
///
/// - Returns: X, and the rank of A.
/// - Throws: `badInput` for NaN or infinite elements or shapes that do not match, `numerical` if
///   the iteration stalls.
/// - Complexity: O(m·n·min(m, n)).
/// - Source: Golub & Van Loan 5.3 and 5.5; LAPACK `?gelsd`.
public func leastSquares<T: BLASElement>(
  _ a: Tensor<T>, _ b: Tensor<T>, tolerance: T? = nil,
  backend: LinalgBackend = .automatic(for: T.self), threads: Threads = .serial
) throws -> (x: Tensor<T>, rank: Int) {
  try a.requireMemory("leastSquares", copies: 1)
  try b.requireMemory("leastSquares", copies: 3)
  try a.requireFiniteMatrix("leastSquares")
  try b.requireFiniteMatrix("leastSquares")
  try requireRightHandSide(b, rows: a.shape[0])
  var (a, b) = (a.contiguous(), b.contiguous())
  let exponent = ScaledMatrix.normalize(&a).exponent - ScaledMatrix.normalize(&b).exponent
  var (x, rank) = try leastSquaresOfScaled(a, b, tolerance, backend, threads)
  var elements = x.mutableSpan
  for i in elements.indices {
    elements[i] = T(sign: .plus, exponent: exponent, significand: elements[i])
  }
  return (x, rank)
}

/// As ``leastSquares(_:_:tolerance:backend:threads:)``, for matrices whose largest elements are
/// near 1.
private func leastSquaresOfScaled<T: BLASElement>(
  _ a: Tensor<T>, _ b: Tensor<T>, _ tolerance: T?, _ backend: LinalgBackend, _ threads: Threads
) throws -> (x: Tensor<T>, rank: Int) {
  let (m, n) = (a.shape[0], a.shape[1])
  let limit = tolerance ?? T(max(m, n)) * T.ulpOfOne
  if m >= n, n > 0 {
    let qr = try QR(a, backend: backend, threads: threads)
    // The diagonal of R proves nothing: it can be all ones in a matrix that is singular to working
    // precision. Frobenius norms bound spectral ones from above, so this errs on the safe side.
    var inverse = Tensor<T>(zeros: [n, n])
    inverse.withView { $0.setIdentity() }
    qr.r.solveTriangular(isLower: false, &inverse)
    if qr.r.frobeniusNorm * inverse.frobeniusNorm * limit < 1 {
      var x = matrixProduct(qr.q, b, transposeA: true)
      qr.r.solveTriangular(isLower: false, &x)
      return (x, n)
    }
  }
  let svd = try SVD(a, method: backend == .lapack ? .gesdd : .swift, threads: threads)
  let rank = svd.rank(tolerance: limit)
  let cut = try svd.truncated(to: rank)
  var projected = matrixProduct(cut.u, b, transposeA: true)
  projected.withView { rows in
    for i in 0..<rank { rows.rowBlock(i..<i + 1).divide(by: cut.singularValues[i]) }
  }
  return (matrixProduct(cut.vt, projected, transposeA: true), rank)
}

private func requireRightHandSide<T>(_ b: Tensor<T>, rows: Int) throws {
  guard b.shape.rank == 2, b.shape[0] == rows else {
    throw SwiftletError(
      .badInput, "a right-hand side of shape \(b.shape) does not match \(rows) equations")
  }
}

extension Tensor where Element: BLASElement {
  /// x ← op(self)⁻¹ · x for a triangular matrix.
  package func solveTriangular(
    isLower: Bool, isUnit: Bool = false, transposed: Bool = false, _ x: inout Tensor
  ) {
    let n = shape[0]
    precondition(
      x.shape.rank == 2 && x.shape[0] == n, "a system of \(n) equations, not \(x.shape)")
    let columns = x.shape[1]
    var target = x.mutableSpan
    BLAS.trsm(
      n: n, columns: columns, a: span, lda: max(1, shape[1]), isLower: isLower, isUnit: isUnit,
      transposeA: transposed, b: &target, ldb: max(1, columns))
  }

  /// Whether nonzero elements are close to the smallest number of the type.
  fileprivate var hasTinyElements: Bool {
    let packed = contiguous()
    let elements = packed.span
    let least = Element.leastNormalMagnitude / Element.ulpOfOne
    for i in elements.indices where elements[i] != 0 && abs(elements[i]) < least { return true }
    return false
  }

  /// A copy with the elements replaced for which `rule` returns a value.
  fileprivate func triangle(_ rule: (Int, Int) -> Element?) -> Tensor {
    var result = self
    result.withView { view in
      for i in 0..<view.rows {
        for j in 0..<view.columns {
          if let value = rule(i, j) { view[i, j] = value }
        }
      }
    }
    return result
  }
}
