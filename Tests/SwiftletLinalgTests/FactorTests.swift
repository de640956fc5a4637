// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

/// QR, Cholesky, LU and what is solved with them.
struct FactorTests {
  static let backends = SymmetricEigenTests.backends

  @Test(arguments: NamedMatrix.zoo + NamedMatrix.extremes, backends)
  func qrPutsTheMatrixTogether(test: NamedMatrix, backend: LinalgBackend) throws {
    let qr = try QR(test.matrix, backend: backend)
    #expect(TestRatio.difference(test.matrix, .product(qr.q, qr.r)) < 30)
    #expect(TestRatio.orthogonality(qr.q) < 30)
    for i in 0..<qr.r.shape[0] {
      for j in 0..<min(i, qr.r.shape[1]) { #expect(qr.r[i, j] == 0) }
    }
  }

  /// LAPACK refuses a workspace that fits tall matrices alone.
  @Test(arguments: [(1, 100), (2, 129), (3, 1000), (1000, 3)], backends)
  func qrOfWideAndTallMatrices(size: (m: Int, n: Int), backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: 4)
    let matrix = Tensor<Double>([size.m, size.n], normalUsing: &generator)
    for threads in [1, 2] {
      let qr = try QR(matrix, backend: backend, threads: Threads(count: threads))
      #expect(TestRatio.difference(matrix, .product(qr.q, qr.r)) < 30)
      #expect(TestRatio.orthogonality(qr.q) < 30)
    }
  }

  @Test(arguments: NamedMatrix.zoo + NamedMatrix.extremes, backends)
  func pivotedQRPutsTheMatrixTogether(test: NamedMatrix, backend: LinalgBackend) throws {
    let qr = try PivotedQR(test.matrix, backend: backend)
    var permuted = test.matrix
    for (j, origin) in qr.permutation.enumerated() {
      for i in 0..<permuted.shape[0] { permuted[i, j] = test.matrix[i, origin] }
    }
    #expect(TestRatio.difference(permuted, .product(qr.q, qr.r)) < 30)
    #expect(TestRatio.orthogonality(qr.q) < 30)
    #expect(qr.permutation.sorted() == Array(0..<test.matrix.shape[1]))
    let pivots = (0..<qr.r.shape[0]).map { abs(qr.r[$0, $0]) }
    for (a, b) in zip(pivots, pivots.dropFirst()) { #expect(b <= a * (1 + 1e-8)) }
  }

  @Test(arguments: [0, 1, 3, 7], backends)
  func pivotedQRFindsTheRank(rank: Int, backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: 21)
    let left = Tensor<Double>([20, rank], normalUsing: &generator)
    let right = Tensor<Double>([rank, 9], normalUsing: &generator)
    #expect(try PivotedQR(.product(left, right), backend: backend).rank() == rank)
  }

  /// A matrix whose eigenvalues are at least 1.
  private func positive(_ n: Int) -> Tensor<Double> {
    var generator = RandomGenerator(seed: UInt64(n))
    let half = Tensor<Double>([n, n], normalUsing: &generator)
    var matrix = NamedMatrix("", n, n) { half[$0, $1] }.gram.matrix
    for i in 0..<n { matrix[i, i] += 1 }
    return matrix
  }

  @Test(arguments: [0, 1, 2, 3, 16, 64, 65, 129, 200], backends)
  func choleskyPutsTheMatrixTogether(n: Int, backend: LinalgBackend) throws {
    let matrix = positive(n)
    var disturbed = matrix
    for i in 0..<n {
      for j in i + 1..<max(n, i + 1) { disturbed[i, j] = 1e9 }
    }
    let l = try Cholesky(disturbed, backend: backend).l
    #expect(TestRatio.difference(matrix, .product(l, l.transposed())) < 30)
    for i in 0..<n {
      for j in i + 1..<max(n, i + 1) { #expect(l[i, j] == 0) }
    }
  }

  @Test(arguments: backends)
  func indefiniteMatricesHaveNoCholesky(backend: LinalgBackend) {
    var matrix = positive(90)
    matrix[70, 70] = -1
    #expect(
      throws: SwiftletError(
        .numerical, "the matrix is not positive definite (leading minor 71)", at: "90×90",
        mend: "add a small multiple of the identity, or use its eigenvalues")
    ) { try Cholesky(matrix, backend: backend) }
  }

  @Test(arguments: [0, 1, 2, 3, 16, 64, 65, 129, 200], backends)
  func luPutsTheMatrixTogether(n: Int, backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: UInt64(n))
    let matrix = Tensor<Double>([n, n], normalUsing: &generator)
    let lu = try LU(matrix, backend: backend)
    var permuted = matrix
    for (i, origin) in lu.permutation.enumerated() {
      for j in 0..<n { permuted[i, j] = matrix[origin, j] }
    }
    #expect(TestRatio.difference(permuted, .product(lu.l, lu.u)) < 30)
    #expect(lu.l.largest <= 1)
  }

  @Test(arguments: backends)
  func determinants(backend: LinalgBackend) throws {
    let matrix = Tensor<Double>([3, 3], [0, 2, 1, 1, 1, 0, 3, 0, 1])
    #expect(try abs(LU(matrix, backend: backend).determinant - -5) < 1e-14)
    #expect(try LU(Tensor<Double>(zeros: [2, 2]), backend: backend).determinant == 0)
    #expect(try LU(Tensor<Double>(zeros: [0, 0]), backend: backend).determinant == 1)
  }

  @Test(arguments: [1, 5, 64, 130], backends)
  func solutionsSolve(n: Int, backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: 22)
    let matrix = positive(n)
    let x = Tensor<Double>([n, 3], normalUsing: &generator)
    let b = Tensor.product(matrix, x)
    for solution in [
      try LU(matrix, backend: backend).solve(b), try Cholesky(matrix, backend: backend).solve(b),
    ] {
      #expect(TestRatio.difference(b, .product(matrix, solution)) < 30)
    }
  }

  @Test(arguments: backends)
  func singularSystemsAreRefused(backend: LinalgBackend) throws {
    let lu = try LU(Tensor<Double>([2, 2], [1, 2, 2, 4]), backend: backend)
    #expect(
      throws: SwiftletError(
        .numerical, "the matrix is singular (pivot 2)", at: "2×2",
        mend: "use leastSquares")
    ) { try lu.solve(Tensor(zeros: [2, 1])) }
  }

  @Test(arguments: [(30, 8, 8), (8, 30, 8), (30, 8, 5), (8, 30, 3), (6, 6, 0)], backends)
  func leastSquaresIsLeast(shape: (m: Int, n: Int, rank: Int), backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: 23)
    let (m, n, rank) = shape
    let left = Tensor<Double>([m, rank], normalUsing: &generator)
    let a = Tensor.product(left, Tensor<Double>([rank, n], normalUsing: &generator))
    let b = Tensor<Double>([m, 2], normalUsing: &generator)
    let (x, found) = try leastSquares(a, b, backend: backend)
    #expect(found == rank)
    // The residual is orthogonal to the columns, the solution lies in the space of the rows.
    var rest = b
    let image = Tensor.product(a, x)
    for i in 0..<m {
      for j in 0..<2 { rest[i, j] -= image[i, j] }
    }
    #expect(Tensor.product(a.transposed(), rest).largest < 1e-12)
    let projector = Tensor.product(try a.pseudoInverse(), a)
    #expect(TestRatio.difference(x, .product(projector, x)) < 30 * 30)
  }

  /// R of the first has ones on its diagonal throughout, and is singular to working precision.
  @Test(arguments: backends)
  func hiddenRankDeficienciesAreFound(backend: LinalgBackend) throws {
    let n = 60
    var a = Tensor<Double>(zeros: [n, n])
    for i in 0..<n {
      for j in i..<n { a[i, j] = i == j ? 1 : -1 }
    }
    var generator = RandomGenerator(seed: 25)
    let b = Tensor<Double>([n, 1], normalUsing: &generator)
    let (x, rank) = try leastSquares(a, b, backend: backend)
    #expect(rank == n - 1)
    let length = try x.norm(.frobenius)
    #expect(length < 100)
    #expect(
      try leastSquares(a.converted(to: Float.self), b.converted(), backend: backend).rank == n - 1)
    // Of full rank, and nearly singular: Kahan's matrix, whose pivots do not show it.
    let kahan = NamedMatrix("Kahan", 100, 100) { i, j in
      j < i ? 0 : pow(0.28.squareRoot(), Double(i)) * (i == j ? 1 : -0.72.squareRoot())
    }.matrix
    #expect(try leastSquares(kahan, Tensor([100, 1], repeating: 1), backend: backend).rank < 100)
  }

  @Test(arguments: backends, [0x1p-1037, 1e-300, 1, 1e300])
  func leastSquaresOfAnyScale(backend: LinalgBackend, scale: Double) throws {
    var (a, b) = (Tensor<Double>(zeros: [3, 2]), Tensor<Double>(zeros: [3, 1]))
    for i in 0..<3 {
      for j in 0..<2 { a[i, j] = Double(i + j * j + 1) * scale }
      b[i, 0] = 2 * a[i, 0] - a[i, 1]
    }
    let (x, rank) = try leastSquares(a, b, backend: backend)
    #expect(rank == 2)
    // Subnormal elements have fewer digits.
    let bound = scale < 1e-308 ? 1e-9 : 1e-13
    #expect(abs(x[0, 0] - 2) < bound && abs(x[1, 0] + 1) < bound)
    // Of unlike scales, x is as large as it must be.
    let one = try leastSquares(a, Tensor([3, 1], [1, 2, 3]), backend: backend).x
    #expect(abs(one[0, 0] * scale - 1) < 1e-9 || one[0, 0].isInfinite)
  }

  /// The reciprocals of subnormal pivots are infinite.
  @Test(arguments: backends)
  func subnormalPivotsDivide(backend: LinalgBackend) throws {
    let tiny = 0x1p-1037
    let graded = Tensor<Double>([2, 2], [1, 0, 0, tiny])
    let small = Tensor<Double>([2, 2], [4 * tiny, tiny, tiny, 3 * tiny])
    for (a, b) in [(graded, [1, tiny]), (small, [5 * tiny, 4 * tiny])] {
      let x = try LU(a, backend: backend).solve(Tensor([2, 1], b))
      #expect(abs(x[0, 0] - 1) < 1e-9 && abs(x[1, 0] - 1) < 1e-9)
    }
    let (x, _) = try leastSquares(graded, Tensor([2, 1], [1, 0]), backend: backend)
    #expect(x.elements == [1, 0])
  }

  @Test(arguments: [(40, 7), (500, 20), (300, 120), (7, 7)], backends)
  func tallMatrices(shape: (m: Int, n: Int), backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: 26)
    let a = Tensor<Double>([shape.m, shape.n], normalUsing: &generator)
    let qr = try QR(a, backend: backend)
    #expect(qr.q.shape == a.shape && qr.r.shape == [shape.n, shape.n])
    #expect(TestRatio.difference(a, .product(qr.q, qr.r)) < 30)
    #expect(TestRatio.orthogonality(qr.q) < 30)
    for i in 0..<shape.n {
      for j in 0..<i { #expect(qr.r[i, j] == 0) }
    }
  }

  /// What does not fit together is an error, and ends no process.
  @Test func shapesThatDoNotFitAreRefused() throws {
    let (square, wide) = (Tensor<Double>([2, 2], [2, 0, 0, 1]), Tensor<Double>(zeros: [3, 2]))
    let cube = Tensor<Double>(zeros: [2, 2, 2])
    expect(.badInput) { _ = try SVD(cube) }
    expect(.badInput) { _ = try QR(cube) }
    expect(.badInput) { _ = try Cholesky(cube) }
    expect(.badInput) { _ = try LU(wide) }
    expect(.badInput) { _ = try cube.norm(.max) }
    expect(.badInput) { _ = try LU(square).solve(wide) }
    expect(.badInput) { _ = try Cholesky(square).solve(wide) }
    expect(.badInput) { _ = try leastSquares(square, wide) }
    expect(.badInput) { _ = try leastSquares(cube, wide) }
    expect(.badInput) { _ = try SVD(square).truncated(to: 3) }
    expect(.badInput) { _ = try SVD(square).truncated(to: -1) }
    for rank in [-1, 0, 3] {
      expect(.badInput) { _ = try SymmetricEigen(square, largest: rank) }
      expect(.badInput) { _ = try TruncatedSVD(wide, rank: rank) }
      expect(.badInput) { _ = try RandomizedSVD().svd(wide, rank: rank) }
    }
    expect(.badInput) { _ = try SymmetricEigen(cube) }
    expect(.badInput) { _ = try RandomizedSVD(oversampling: -1).svd(wide, rank: 1) }
    expect(.badInput) { _ = try RandomizedSVD(powerIterations: -1).svd(wide, tolerance: 0.1) }
    expect(.badInput) { _ = try RandomizedSVD().svd(wide, tolerance: -1) }
    expect(.badInput) { _ = try RandomizedSVD().svd(wide, tolerance: 0.1, blockSize: 0) }
    expect(.badInput) {
      _ = try RandomizedSVD().svd(Tensor<Double>(zeros: [0, 2]), tolerance: 0.1)
    }
    expect(.badInput) { _ = try VariationalRank(singularValues: [1.0], rows: 2, columns: 2) }
    expect(.badInput) { _ = try VariationalRank(singularValues: [1.0, 2], rows: 2, columns: 2) }
    expect(.badInput) { _ = try CanonicalPolyadic(square, rank: 0) }
    expect(.badInput) { _ = try CanonicalPolyadic(Tensor<Double>([2], [1, 2]), rank: 1) }
    expect(.badInput) { _ = try CanonicalPolyadic(square, rank: 1, maximumIterations: 0) }
  }

  @Test func pseudoInversesMeetPenrosesConditions() throws {
    var generator = RandomGenerator(seed: 24)
    let left = Tensor<Double>([9, 4], normalUsing: &generator)
    let a = Tensor.product(left, Tensor<Double>([4, 6], normalUsing: &generator))
    let p = try a.pseudoInverse()
    let (ap, pa) = (Tensor.product(a, p), Tensor.product(p, a))
    #expect(TestRatio.difference(a, .product(ap, a)) < 100)
    #expect(TestRatio.difference(p, .product(pa, p)) < 100)
    #expect(TestRatio.difference(ap, ap.transposed()) < 100)
    #expect(TestRatio.difference(pa, pa.transposed()) < 100)
    #expect(try Tensor<Double>(zeros: [2, 3]).pseudoInverse() == Tensor(zeros: [3, 2]))
  }

  @Test func norms() throws {
    let a = Tensor<Double>([2, 3], [1, -2, 3, -4, 5, 0])
    #expect(try a.norm(.one) == 7)
    #expect(try a.norm(.infinity) == 9)
    #expect(try a.norm(.max) == 5)
    #expect(try a.norm(.frobenius) == 55.0.squareRoot())
    let values = try SVD.values(of: a)
    #expect(try a.norm(.spectral) == values[0])
    #expect(try a.norm(.nuclear) == values[0] + values[1])
    #expect(try abs(a.conditionNumber() - values[0] / values[1]) < 1e-14)
    #expect(try Tensor<Double>([2, 2], [1, 1, 1, 1]).conditionNumber() > 1e15)
    #expect(try Tensor<Double>(zeros: [2, 2]).conditionNumber() == .infinity)
    let large = Tensor<Double>([2, 1], [3e200, 4e200])
    #expect(try abs(large.norm(.frobenius) / 5e200 - 1) < 1e-15)
    for kind in MatrixNorm.allCases {
      #expect(try Tensor<Double>(zeros: [0, 3]).norm(kind) == 0)
      #expect(throws: SwiftletError.self) { try Tensor<Double>([1, 1], [.nan]).norm(kind) }
    }
  }
}
