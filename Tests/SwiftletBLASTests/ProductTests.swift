// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import Testing
import _SwiftletTestSupport

struct ProductTests {
  struct Case: Sendable, CustomStringConvertible {
    let m, n, k: Int
    let transposeA, transposeB: Bool
    var description: String { "\(m)×\(n)×\(k)\(transposeA ? " Aᵀ" : "")\(transposeB ? " Bᵀ" : "")" }

    static let all = [0, 1, 2, 3, 5, 17, 33, 64].flatMap { m in
      [(1, 1), (3, 0), (7, 5), (33, 65), (130, 16)].flatMap { n, k in
        [(false, false), (true, false), (false, true), (true, true)].map {
          Case(m: m, n: n, k: k, transposeA: $0, transposeB: $1)
        }
      }
    }
  }

  /// |error| ≤ (k + 2) · 2⁻²³ · Σ |a·b|, with loose leading dimensions and a C full of NaN.
  @Test(arguments: Case.all)
  func singlePrecisionStaysWithinTheErrorBound(test: Case) {
    check(test, as: Float.self, unit: 0x1p-23)
  }

  @Test(arguments: Case.all)
  func doublePrecisionStaysWithinTheErrorBound(test: Case) {
    check(test, as: Double.self, unit: 0x1p-51)
  }

  private func check<T: BLASElement>(_ test: Case, as _: T.Type, unit: Double) {
    var generator = RandomGenerator(seed: 1)
    let (rowsA, columnsA) = test.transposeA ? (test.k, test.m) : (test.m, test.k)
    let (rowsB, columnsB) = test.transposeB ? (test.n, test.k) : (test.k, test.n)
    let (lda, ldb, ldc) = (columnsA + 3, columnsB + 1, test.n + 2)
    let a = Tensor<T>([rowsA, lda], uniformIn: -1...1, using: &generator)
    let b = Tensor<T>([rowsB, ldb], uniformIn: -1...1, using: &generator)
    var c = Tensor<T>([max(1, test.m), ldc], repeating: .nan)
    var target = c.mutableSpan
    BLAS.gemm(
      m: test.m, n: test.n, k: test.k, alpha: 2, a: a.span, lda: lda, transposeA: test.transposeA,
      b: b.span, ldb: ldb, transposeB: test.transposeB, c: &target, ldc: ldc)
    for i in 0..<test.m {
      for j in 0..<test.n {
        var (exact, magnitude) = (0.0, 0.0)
        for p in 0..<test.k {
          let x = Double(test.transposeA ? a[p, i] : a[i, p])
          let y = Double(test.transposeB ? b[j, p] : b[p, j])
          exact += 2 * x * y
          magnitude += abs(2 * x * y)
        }
        #expect(abs(Double(c[i, j]) - exact) <= Double(test.k + 2) * unit * magnitude)
      }
      // What lies between the rows is not C and stays.
      #expect(c[i, test.n].isNaN && c[i, test.n + 1].isNaN)
    }
  }

  @Test func betaAddsToWhatIsThere() {
    let a = Tensor<Float>([1, 2], [1, 2])
    let b = Tensor<Float>([2, 1], [3, 4])
    var c = Tensor<Float>([1, 1], [10])
    var target = c.mutableSpan
    BLAS.gemm(m: 1, n: 1, k: 2, a: a.span, lda: 2, b: b.span, ldb: 1, beta: 3, c: &target, ldc: 1)
    #expect(c.elements == [41])
  }

  @Test(arguments: [false, true])
  func matrixTimesVector(transposed: Bool) {
    let a = Tensor<Double>([2, 3], [1, 2, 3, 4, 5, 6])
    let x = Tensor<Double>([3], [1, 10, 100])
    var y = Tensor<Double>([3], repeating: .nan)
    var target = y.mutableSpan
    BLAS.gemv(m: 2, n: 3, a: a.span, lda: 3, transposeA: transposed, x: x.span, y: &target)
    if transposed {
      #expect(y.elements == [41, 52, 63])
    } else {
      #expect(Array(y.elements[..<2]) == [321, 654])
    }
  }

  @Test(arguments: [false, true])
  func gramMatrixFillsTheUpperTriangleOnly(transposed: Bool) {
    let a = Tensor<Double>([2, 3], [1, 2, 3, 4, 5, 6])
    let n = transposed ? 3 : 2
    var c = Tensor<Double>([n, n], repeating: -7)
    var target = c.mutableSpan
    BLAS.syrk(
      n: n, k: transposed ? 2 : 3, a: a.span, lda: 3, transposeA: transposed, c: &target, ldc: n)
    #expect(c.elements == (transposed ? [17, 22, 27, -7, 29, 36, -7, -7, 45] : [14, 32, -7, 77]))
  }

  @Test func referenceLoopsAgreeWithTheLibrary() {
    var generator = RandomGenerator(seed: 2)
    let a = Tensor<Double>([9, 7], uniformIn: -1...1, using: &generator)
    let b = Tensor<Double>([9, 5], uniformIn: -1...1, using: &generator)
    var (library, loops) = (Tensor<Double>(zeros: [7, 5]), Tensor<Double>(zeros: [7, 5]))
    do {
      var target = library.mutableSpan
      BLAS.gemm(
        m: 7, n: 5, k: 9, a: a.span, lda: 7, transposeA: true, b: b.span, ldb: 5, c: &target,
        ldc: 5)
    }
    var target = loops.mutableSpan
    ReferenceBLAS.gemm(
      m: 7, n: 5, k: 9, alpha: 1, a: a.span, lda: 7, transposeA: true, b: b.span, ldb: 5,
      transposeB: false, beta: 0, c: &target, ldc: 5)
    #expect(TestRatio.difference(library, loops) < 10)
  }

  @Test func shortSpansAreRefused() async {
    await #expect(processExitsWith: .failure) {
      let a = Tensor<Float>(zeros: [2, 2])
      var c = Tensor<Float>(zeros: [3, 2])
      var target = c.mutableSpan
      BLAS.gemm(m: 3, n: 2, k: 2, a: a.span, lda: 2, b: a.span, ldb: 2, c: &target, ldc: 2)
    }
  }
}
