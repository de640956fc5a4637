// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

/// Of symmetric matrices one triangle is read: what is in the other one, NaN too, does not matter.
struct TriangleTests {
  static let backends = SymmetricEigenTests.backends

  private func symmetric<T: BLASElement>(_ n: Int, _: T.Type) -> Tensor<T> {
    var generator = RandomGenerator(seed: UInt64(n))
    let half = Tensor<T>([n, n], normalUsing: &generator)
    var matrix = half
    for i in 0..<n {
      for j in 0..<i { matrix[i, j] = half[j, i] }
      matrix[i, i] += T(4 * n)
    }
    return matrix
  }

  private func spoiled<T: BLASElement>(
    _ matrix: Tensor<T>, with value: T, _ isSpoiled: (Int, Int) -> Bool
  ) -> Tensor<T> {
    var copy = matrix
    for i in 0..<copy.shape[0] {
      for j in 0..<copy.shape[1] where isSpoiled(i, j) { copy[i, j] = value }
    }
    return copy
  }

  private func check<T: BLASElement>(_ n: Int, _ backend: LinalgBackend, _: T.Type) throws {
    let matrix = symmetric(n, T.self)
    let tolerance = T(n) * 100 * T.ulpOfOne
    for value in [T.nan, .infinity, -.infinity] {
      let upper = spoiled(matrix, with: value) { $0 > $1 }
      let lower = spoiled(matrix, with: value) { $0 < $1 }
      let (a, b) = try (
        SymmetricEigen(matrix, backend: backend), SymmetricEigen(upper, backend: backend)
      )
      #expect(a.values == b.values && a.vectors == b.vectors)
      if n > 1 {
        let c = try SymmetricEigen(upper, largest: 1, backend: backend)
        #expect(abs(a.values[0] - c.values[0]) <= tolerance * a.values[0])
      }
      let alone = try SymmetricEigen.values(of: upper, backend: backend)
      #expect(alone.count == n && alone == alone.sorted(by: >))
      for (x, y) in zip(a.values, alone) { #expect(abs(x - y) <= tolerance * a.values[0]) }
      #expect(
        try Cholesky(matrix, backend: backend).l == Cholesky(lower, backend: backend).l)
      guard n > 1 else { continue }
      for body: () throws -> Void in [
        { _ = try SymmetricEigen(lower, backend: backend) },
        { _ = try SymmetricEigen(lower, largest: 1, backend: backend) },
        { _ = try SymmetricEigen.values(of: lower, backend: backend) },
        { _ = try Cholesky(upper, backend: backend) },
        { _ = try LU(upper, backend: backend) },
      ] {
        let error = #expect(throws: SwiftletError.self) { try body() }
        #expect(error?.code == .badInput)
      }
    }
  }

  @Test(arguments: [1, 2, 5, 70, 200], backends)
  func theOtherTriangleIsNotRead(n: Int, backend: LinalgBackend) throws {
    try check(n, backend, Double.self)
    try check(n, backend, Float.self)
  }

  @Test(arguments: backends) func emptyMatricesHaveNoValues(backend: LinalgBackend) throws {
    #expect(try SymmetricEigen<Double>.values(of: Tensor(zeros: [0, 0]), backend: backend) == [])
  }

  @Test(arguments: SymmetricEigenTests.zoo, backends)
  func valuesAloneAreTheSame(test: NamedMatrix, backend: LinalgBackend) throws {
    let all = try SymmetricEigen(test.matrix, backend: backend).values
    let alone = try SymmetricEigen.values(of: test.matrix, backend: backend)
    let largest = all.map(abs).max() ?? 0
    #expect(alone.count == all.count)
    for (x, y) in zip(all, alone) {
      #expect(abs(x - y) <= 30 * Double(all.count) * Double.ulpOfOne * largest)
    }
  }

  @Test func valuesOfWhatIsNotSquareAreRefused() {
    for backend in Self.backends {
      let error = #expect(throws: SwiftletError.self) {
        try SymmetricEigen<Double>.values(of: Tensor(zeros: [2, 3]), backend: backend)
      }
      #expect(error?.code == .badInput)
    }
  }
}
