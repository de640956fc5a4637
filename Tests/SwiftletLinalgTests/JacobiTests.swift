// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

/// What Jacobi's method is for: small singular values to all of their digits.
struct JacobiTests {
  private func diagonal<T: BLASElement>(_ values: [T]) -> Tensor<T> {
    var matrix = Tensor<T>(zeros: [values.count, values.count])
    for (i, value) in values.enumerated() { matrix[i, i] = value }
    return matrix
  }

  @Test func diagonalsStayAsTheyAre() throws {
    for values: [Float] in [
      [1, 1e-10, 1e-20, 1e-30], [1, 1e-10, 1e-20, 0x1p-147], [1e30, 1, 1e-38],
    ] {
      #expect(try SVD(diagonal(values), method: .jacobi).singularValues == values)
    }
    for values: [Double] in [
      [1, 1e-150, 1e-200, 1e-300], [1e300, 1, 1e-300], [1e-300, 0x1p-1060],
    ] {
      #expect(try SVD(diagonal(values), method: .jacobi).singularValues == values)
    }
  }

  /// B with rows, columns or both multiplied by numbers of all magnitudes: the logarithm of the
  /// values' product is that of B's determinant and the scales'.
  @Test(arguments: [(-100.0, 0.0), (0, -100), (-60, -60), (-150, 0), (0, 150)], [60, 150])
  func scaledMatrices(exponents: (row: Double, column: Double), n: Int) throws {
    var generator = RandomGenerator(seed: 41)
    let b = Tensor<Double>([n, n], normalUsing: &generator)
    var a = b
    var expected = 0.0
    for i in 0..<n {
      // Neither in order, nor in the same disorder.
      let (row, column) = (Double(i * 7 % n) / Double(n), Double(i * 11 % n) / Double(n))
      let (r, c) = (pow(10, exponents.row * row), pow(10, exponents.column * column))
      for j in 0..<n {
        a[i, j] *= r
        a[j, i] *= c
      }
      expected += log(r) + log(c)
    }
    for value in try SVD(b, method: .jacobi).singularValues { expected += log(value) }
    let svd = try SVD(a, method: .jacobi)
    let logarithm = svd.singularValues.reduce(0) { $0 + log($1) }
    #expect(abs(logarithm - expected) < 1e-9)
    #expect(svd.testRatios(a).reconstruction < 30)
    #expect(svd.testRatios(a).orthogonality < 30)
  }

  @Test func singlePrecisionKeepsRowsOfAllMagnitudes() throws {
    var generator = RandomGenerator(seed: 42)
    let n = 120
    let b: Tensor<Float> = Tensor<Double>([n, n], normalUsing: &generator).converted()
    var (a, expected) = (b, 0.0)
    for i in 0..<n {
      let scale = Float(sign: .plus, exponent: -i, significand: 1)
      for j in 0..<n { a[i, j] *= scale }
      expected += log(Double(scale))
    }
    let exact = try SVD<Double>.values(of: b.converted(), method: .jacobi)
    for value in exact { expected += log(value) }
    let values = try SVD(a, method: .jacobi).singularValues
    // 120 relative errors of a few units in the last place.
    #expect(abs(values.reduce(0) { $0 + log(Double($1)) } - expected) < 1e-3)
  }

  /// Rotations by rounded cosines lengthen all vectors a little each time: at 1024 columns that
  /// made errors of 10⁻⁴ in single precision.
  @Test func manySmallRotationsKeepLengths() {
    for kernels in Float._routines.kernelTiers {
      let n = 40
      var generator = RandomGenerator(seed: 43)
      var (x, y) = ([Float](repeating: 0, count: n), [Float](repeating: 0, count: n))
      for i in 0..<n { (x[i], y[i]) = (Float(generator.normal()), Float(generator.normal())) }
      func energy() -> Double { (x + y).reduce(0) { $0 + Double($1) * Double($1) } }
      let before = energy()
      for step in 0..<20_000 {
        let t = Float(1e-4 * (1 + Double(step % 17)))
        let length = (1 + t * t).squareRoot()
        unsafe kernels.rotateScaled(
          n, t * t / (length * (1 + length)), t / length, t / length, &x, &y)
      }
      #expect(abs(energy() / before - 1) < 1e-5, "\(kernels.name)")
    }
  }

  @Test func largeMatricesStayOrthogonal() throws {
    var generator = RandomGenerator(seed: 44)
    let matrix: Tensor<Float> = Tensor<Double>([260, 260], normalUsing: &generator).converted()
    let svd = try SVD(matrix, method: .jacobi)
    #expect(svd.testRatios(matrix).orthogonality < 10)
    let exact = try SVD<Double>.values(of: matrix.converted(), method: .swift)
    for (a, b) in zip(svd.singularValues, exact) { #expect(abs(Double(a) - b) < 1e-5 * exact[0]) }
  }
}
