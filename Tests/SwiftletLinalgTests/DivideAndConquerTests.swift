// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

/// Divide and conquer on matrices drawn to be awkward: sizes around the leaves, elements of all
/// orders of magnitude, equal and zero ones, couplings that nearly or wholly vanish.
struct DivideAndConquerTests {
  /// A number from one of several families: the same few values, all magnitudes, zeros.
  private static func awkward(_ family: Int, _ generator: inout RandomGenerator) -> Double {
    switch family {
    case 0: generator.normal()
    case 1: Double(generator.below(3))
    case 2: generator.normal() * pow(10, -16 * generator.uniform())
    case 3: generator.below(4) == 0 ? 0 : 1 + 1e-15 * generator.normal()
    case 4: pow(10, 300 * (generator.uniform() - 0.5))
    default: generator.below(2) == 0 ? 1 : 1e-17 * generator.normal()
    }
  }

  @Test(arguments: 0..<150)
  func bidiagonalMatrices(seed: Int) throws {
    var generator = RandomGenerator(seed: UInt64(seed))
    let n = 20 + generator.below(110)
    let (onDiagonal, above) = (generator.below(6), generator.below(6))
    var matrix = Tensor<Double>(zeros: [n, n])
    for i in 0..<n {
      matrix[i, i] = Self.awkward(onDiagonal, &generator)
      if i + 1 < n { matrix[i, i + 1] = Self.awkward(above, &generator) }
    }
    let svd = try SVD(matrix, method: .swift)
    let ratios = svd.testRatios(matrix)
    #expect(ratios.reconstruction < 30, "families \(onDiagonal), \(above), n \(n)")
    #expect(ratios.orthogonality < 30, "families \(onDiagonal), \(above), n \(n)")
    let values = try SVD.values(of: matrix, method: .swift)
    for (a, b) in zip(values, svd.singularValues) {
      #expect(abs(a - b) <= 30 * Double(n) * Double.ulpOfOne * values[0])
    }
  }

  @Test(arguments: 0..<150)
  func tridiagonalMatrices(seed: Int) throws {
    var generator = RandomGenerator(seed: UInt64(1000 + seed))
    let n = 20 + generator.below(110)
    let (onDiagonal, beside) = (generator.below(6), generator.below(6))
    var matrix = Tensor<Double>(zeros: [n, n])
    for i in 0..<n {
      matrix[i, i] = Self.awkward(onDiagonal, &generator)
      guard i + 1 < n else { continue }
      matrix[i, i + 1] = Self.awkward(beside, &generator)
      matrix[i + 1, i] = matrix[i, i + 1]
    }
    let ratios = try SymmetricEigen(matrix, backend: .swift).testRatios(matrix)
    #expect(ratios.reconstruction < 30, "families \(onDiagonal), \(beside), n \(n)")
    #expect(ratios.orthogonality < 30, "families \(onDiagonal), \(beside), n \(n)")
  }

  @Test(arguments: 0..<80)
  func singlePrecision(seed: Int) throws {
    var generator = RandomGenerator(seed: UInt64(2000 + seed))
    let n = 20 + generator.below(110)
    let family = generator.below(4)
    var matrix = Tensor<Float>(zeros: [n, n])
    for i in 0..<n {
      for j in i..<min(n, i + 3) {
        matrix[i, j] = Float(Self.awkward(family, &generator))
        matrix[j, i] = matrix[i, j]
      }
    }
    for ratios in [
      try SVD(matrix, method: .swift).testRatios(matrix),
      try SymmetricEigen(matrix, backend: .swift).testRatios(matrix),
    ] {
      #expect(ratios.reconstruction < 30, "family \(family), n \(n)")
      #expect(ratios.orthogonality < 30, "family \(family), n \(n)")
    }
  }
}
