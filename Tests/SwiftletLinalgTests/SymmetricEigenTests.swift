// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct SymmetricEigenTests {
  static let backends = LinalgBackend.allCases.filter(\.isAvailable)

  /// Gram matrices, tridiagonal ones and one with eigenvalues of both signs.
  static let zoo: [NamedMatrix] = {
    var generator = RandomGenerator(seed: 11)
    var zoo = NamedMatrix.zoo.filter { $0.matrix.shape[0] <= 130 }.map(\.gram)
    zoo += [NamedMatrix.extremes[0], NamedMatrix.extremes[1]].map { test in
      NamedMatrix("symmetric \(test)", 12, 12) { test.matrix[min($0, $1), max($0, $1)] }
    }
    for n in [2, 21, 100, 200] {
      zoo.append(
        NamedMatrix("Wilkinson", n, n) { i, j in
          i == j ? abs(Double(n - 1) / 2 - Double(i)) : abs(i - j) == 1 ? 1 : 0
        })
      let random = Tensor<Double>([n, n], normalUsing: &generator)
      zoo.append(NamedMatrix("indefinite", n, n) { random[min($0, $1), max($0, $1)] })
      zoo.append(
        NamedMatrix("negative couplings", n, n) { i, j in
          i == j ? 2 : abs(i - j) == 1 ? -1 : 0
        })
    }
    return zoo
  }()

  private func ratios<T: BLASElement>(
    _ eigen: SymmetricEigen<T>, _ matrix: Tensor<Double>
  ) -> (difference: Double, orthogonality: Double) {
    let vectors: Tensor<Double> = eigen.vectors.converted()
    var scaled = vectors
    for i in 0..<vectors.shape[0] {
      for j in 0..<vectors.shape[1] { scaled[i, j] *= Double(eigen.values[j]) }
    }
    let epsilon = Double(T.ulpOfOne)
    return (
      TestRatio.difference(matrix, .product(scaled, vectors.transposed()), epsilon: epsilon),
      TestRatio.orthogonality(vectors, epsilon: epsilon)
    )
  }

  @Test(arguments: zoo, backends)
  func eigenvectorsPutTheMatrixTogether(test: NamedMatrix, backend: LinalgBackend) throws {
    let eigen = try SymmetricEigen(test.matrix, backend: backend)
    let (difference, orthogonality) = ratios(eigen, test.matrix)
    #expect(difference < 30)
    #expect(orthogonality < 30)
    #expect(eigen.values == eigen.values.sorted(by: >))
  }

  @Test(arguments: zoo.filter { $0.matrix.largest < 1e30 }, backends)
  func singlePrecisionDoesAsWell(test: NamedMatrix, backend: LinalgBackend) throws {
    let matrix: Tensor<Float> = test.matrix.converted()
    let eigen = try SymmetricEigen(matrix, backend: backend)
    let (difference, orthogonality) = ratios(eigen, matrix.converted())
    #expect(difference < 30)
    #expect(orthogonality < 30)
  }

  @Test(arguments: zoo)
  func backendsAgreeOnTheValues(test: NamedMatrix) throws {
    let all = try Self.backends.map { try SymmetricEigen(test.matrix, backend: $0).values }
    let size = Double(test.matrix.shape[0])
    for values in all {
      for (a, b) in zip(all[0], values) {
        #expect(abs(a - b) <= 30 * size * Double.ulpOfOne * test.matrix.largest)
      }
    }
  }

  @Test(arguments: [1, 5, 59, 60], backends)
  func theLargestAloneAreTheSame(count: Int, backend: LinalgBackend) throws {
    var generator = RandomGenerator(seed: 12)
    let random = Tensor<Double>([60, 60], normalUsing: &generator)
    let matrix = NamedMatrix("", 60, 60) { random[min($0, $1), max($0, $1)] }.matrix
    let all = try SymmetricEigen(matrix, backend: backend)
    let some = try SymmetricEigen(matrix, largest: count, backend: backend)
    #expect(some.values.count == count && some.vectors.shape == [60, count])
    for (a, b) in zip(all.values, some.values) { #expect(abs(a - b) < 1e-12) }
    #expect(TestRatio.orthogonality(some.vectors) < 30)
    let image = Tensor.product(matrix, some.vectors)
    for j in 0..<count {
      for i in 0..<60 {
        #expect(abs(image[i, j] - some.values[j] * some.vectors[i, j]) < 1e-11)
      }
    }
  }

  @Test(arguments: backends)
  func onlyTheUpperTriangleCounts(backend: LinalgBackend) throws {
    let whole = Tensor<Double>([3, 3], [2, 1, 0, 1, 3, 1, 0, 1, 4])
    let upper = Tensor<Double>([3, 3], [2, 1, 0, 50, 3, 1, 60, 70, 4])
    #expect(
      try SymmetricEigen(whole, backend: backend).values
        == SymmetricEigen(upper, backend: backend).values)
  }

  @Test(arguments: backends)
  func badMatricesAreRefused(backend: LinalgBackend) {
    #expect(throws: SwiftletError(.badInput, "a 2×3 matrix is not square", at: "symmetricEigen")) {
      try SymmetricEigen(Tensor<Double>(zeros: [2, 3]), backend: backend)
    }
    #expect(throws: SwiftletError(.badInput, "the 1×1 matrix has NaN or infinite elements")) {
      try SymmetricEigen(Tensor<Double>([1, 1], [.nan]), backend: backend)
    }
  }
}
