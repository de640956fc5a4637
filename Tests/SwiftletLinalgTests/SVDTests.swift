// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct SVDTests {
  typealias Method = SVD<Double>.Method
  static let methods = Method.allCases.filter { $0.isAvailable && $0 != .gram }
  static let floatMethods = SVD<Float>.Method.allCases.filter { $0.isAvailable && $0 != .gram }

  private func check(_ svd: SVD<Double>, of matrix: Tensor<Double>) {
    let (left, right) = svd.balancedFactors
    #expect(TestRatio.difference(matrix, .product(left, right)) < 30)
    #expect(TestRatio.orthogonality(svd.u) < 30)
    #expect(TestRatio.orthogonality(svd.vt.transposed()) < 30)
    #expect(svd.singularValues == svd.singularValues.sorted(by: >))
    #expect(svd.singularValues.allSatisfy { $0 >= 0 })
  }

  @Test(arguments: NamedMatrix.zoo, methods)
  func factorsPutTheMatrixTogether(test: NamedMatrix, method: Method) throws {
    let svd = try SVD(test.matrix, method: method)
    check(svd, of: test.matrix)
    #expect(svd.method == method)
  }

  @Test(arguments: NamedMatrix.extremes, methods)
  func extremesNeitherOverflowNorVanish(test: NamedMatrix, method: Method) throws {
    check(try SVD(test.matrix, method: method), of: test.matrix)
  }

  @Test(arguments: NamedMatrix.zoo, floatMethods)
  func singlePrecisionDoesAsWell(test: NamedMatrix, method: SVD<Float>.Method) throws {
    let matrix: Tensor<Float> = test.matrix.converted()
    let svd = try SVD(matrix, method: method)
    let (left, right) = svd.balancedFactors
    let product = Tensor.product(left.converted(), right.converted())
    #expect(TestRatio.difference(matrix.converted(), product, epsilon: 0x1p-23) < 30)
    #expect(TestRatio.orthogonality(svd.u.converted(), epsilon: 0x1p-23) < 30)
    #expect(TestRatio.orthogonality(svd.vt.transposed().converted(), epsilon: 0x1p-23) < 30)
  }

  @Test(arguments: NamedMatrix.zoo)
  func methodsAgreeOnTheValues(test: NamedMatrix) throws {
    let all = try Self.methods.flatMap {
      [
        try SVD(test.matrix, method: $0).singularValues,
        try SVD.values(of: test.matrix, method: $0),
      ]
    }
    let size = Double(max(test.matrix.shape[0], test.matrix.shape[1]))
    for values in all {
      for (a, b) in zip(all[0], values) {
        #expect(abs(a - b) <= 30 * size * Double.ulpOfOne * all[0][0])
      }
    }
  }

  @Test(arguments: [(40, 15), (15, 40), (1, 1), (0, 3)])
  func gramKeepsHalfOfTheDigits(shape: (Int, Int)) throws {
    var generator = RandomGenerator(seed: 31)
    let matrix = Tensor<Double>([shape.0, shape.1], normalUsing: &generator)
    let (gram, exact) = (try SVD(matrix, method: .gram), try SVD(matrix))
    check(gram, of: matrix)
    for (a, b) in zip(gram.singularValues, exact.singularValues) { #expect(abs(a - b) < 1e-10) }
    #expect(throws: SwiftletError.self) { try SVD(matrix, vectors: .full, method: .gram) }
  }

  @Test(arguments: [(7, 4), (4, 7), (5, 5), (90, 30), (0, 3), (3, 0)], methods)
  func fullVectorsFillTheSpaces(shape: (Int, Int), method: Method) throws {
    guard method != .jacobi else { return }
    var generator = RandomGenerator(seed: 3)
    let (m, n) = shape
    let matrix = Tensor<Double>([m, n], normalUsing: &generator)
    let svd = try SVD(matrix, vectors: .full, method: method)
    #expect(svd.u.shape == [m, m] && svd.vt.shape == [n, n])
    check(svd, of: matrix)
  }

  @Test(arguments: methods, [Double.nan, -.infinity])
  func elementsThatAreNoNumbersAreRefused(method: Method, bad: Double) {
    var matrix = Tensor<Double>(zeros: [3, 4])
    matrix[2, 1] = bad
    let error = SwiftletError(.badInput, "the 3×4 matrix has NaN or infinite elements")
    #expect(throws: error) { try SVD(matrix, method: method) }
    #expect(throws: error) { try SVD.values(of: matrix, method: method) }
  }

  /// The values' product is the determinant, 18e-36: only Jacobi's method keeps the smallest one.
  @Test func jacobiKeepsSmallValues() throws {
    let matrix = Tensor<Double>(
      [3, 3], [2, 1e-12, 0, 1, 3e-12, 1e-24, 0, 1e-12, 4e-24])
    let values = try SVD(matrix, method: .jacobi).singularValues
    #expect(abs(values[0] * values[1] * values[2] / 18e-36 - 1) < 1e-13)
  }

  /// Eckart and Young: the spectral error of the best rank r is singular value r + 1.
  @Test(arguments: [0, 1, 4, 9])
  func truncationIsOptimal(rank: Int) throws {
    var generator = RandomGenerator(seed: 8)
    let matrix = Tensor<Double>([12, 10], normalUsing: &generator)
    let svd = try SVD(matrix)
    let (left, right) = try svd.truncated(to: rank).balancedFactors
    let approximation = rank == 0 ? Tensor(zeros: matrix.shape) : Tensor.product(left, right)
    var rest = matrix
    for i in 0..<12 {
      for j in 0..<10 { rest[i, j] -= approximation[i, j] }
    }
    let error = try SVD(rest).singularValues[0]
    #expect(abs(error - svd.singularValues[rank]) < 1e-12 * svd.singularValues[0])
  }

  @Test func energyAndRankBelongTogether() {
    let energies = [9.0, 4, 2, 1]
    #expect(Spectrum.energy(energies, rank: 2) == 13.0 / 16)
    #expect(Spectrum.rank(energies, keeping: 13.0 / 16) == 2)
    #expect(Spectrum.rank(energies, keeping: 0.82) == 3)
    #expect(Spectrum.rank(energies, keeping: 1) == 4)
    #expect(Spectrum.rank([0, 0], keeping: 0.9) == 1)
    #expect(Spectrum.energy([0, 0], rank: 1) == 1)
  }
}
