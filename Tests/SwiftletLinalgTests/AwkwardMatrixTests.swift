// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

/// Matrices whose reduced forms hold rounding errors and little else: parts of them shrink to
/// subnormal numbers, where no relative bound is ever met.
struct AwkwardMatrixTests {
  /// Repeated rows, columns and blocks, flat pictures, one odd element.
  static let repetitive: [NamedMatrix] = {
    var generator = RandomGenerator(seed: 17)
    let (rows, tile) = (
      Tensor<Double>([10, 200], normalUsing: &generator),
      Tensor<Double>([8, 8], normalUsing: &generator)
    )
    return [2, 48, 173, 174, 200, 300].map { NamedMatrix("ones", $0, $0) { _, _ in 1 } } + [
      NamedMatrix("ones", 300, 30) { _, _ in 1 },
      NamedMatrix("repeated rows", 200, 200) { rows[$0 / 20, $1] },
      NamedMatrix("repeated columns", 200, 200) { rows[$1 % 10, $0] },
      NamedMatrix("tiles", 200, 200) { tile[$0 % 8, $1 % 8] },
      NamedMatrix("one odd element", 200, 200) { $0 == 7 && $1 == 9 ? 3 : 0 },
      NamedMatrix("ones and an odd one", 200, 200) { $0 == 100 && $1 == 3 ? 1.5 : 1 },
      NamedMatrix("flat picture", 256, 192) { 40..<60 ~= $0 && 30..<90 ~= $1 ? 200 : 128 },
      NamedMatrix("checkerboard", 200, 200) { Double(($0 + $1) % 2) },
      NamedMatrix("identity and ones", 200, 200) { $0 == $1 ? 2 : 1 },
      NamedMatrix("decaying rank one", 200, 200) { exp(-Double($0 + $1) / 4) },
      NamedMatrix("zero", 60, 60) { _, _ in 0 },
    ]
  }()

  /// Banded, with elements of all orders of magnitude: 10^(lowest … 0), in either direction.
  static let graded: [NamedMatrix] = [-8.0, -38, -45, -60, -300, -340].flatMap { lowest in
    [60, 100, 300].flatMap { n -> [NamedMatrix] in
      func grade(_ i: Int) -> Double { pow(10, lowest * (1 - Double(i) / Double(n - 1))) }
      func named(_ kind: String, _ diagonal: (Int) -> Double, _ beside: (Int) -> Double)
        -> [NamedMatrix]
      {
        [false, true].map { isSymmetric in
          NamedMatrix("\(kind) 1e\(Int(lowest))", n, n) { i, j in
            i == j
              ? diagonal(i) : i + 1 == j || isSymmetric && j + 1 == i ? beside(min(i, j)) : 0
          }
        }
      }
      return named("zero diagonal", { _ in 0 }, grade)
        + named("zero diagonal, falling", { _ in 0 }, { grade(n - 1 - $0) })
        + named("graded", grade, grade) + named("crossed", grade, { grade(n - 1 - $0) })
    }
  }

  private func isSymmetric(_ a: Tensor<Double>) -> Bool {
    a.shape[0] == a.shape[1] && a == a.transposed()
  }

  private func check<T: BLASElement>(_ matrix: Tensor<T>, _ name: String) throws {
    for method in [SVD<T>.Method.swift, .jacobi] {
      let svd = try SVD(matrix, method: method)
      let ratios = svd.testRatios(matrix)
      #expect(ratios.reconstruction < 30, "\(name) \(T.dtype) \(method)")
      #expect(ratios.orthogonality < 30, "\(name) \(T.dtype) \(method)")
      let values = try SVD.values(of: matrix, method: method)
      let bound = 30 * Double(matrix.shape[0]) * Double(T.ulpOfOne) * Double(values[0])
      for (a, b) in zip(values, svd.singularValues) { #expect(abs(Double(a - b)) <= bound) }
    }
  }

  @Test(arguments: repetitive + graded)
  func singularValues(test: NamedMatrix) throws {
    try check(test.matrix, test.description)
    try check(test.matrix.converted(to: Float.self), test.description)
  }

  @Test(arguments: repetitive + graded)
  func eigenvalues(test: NamedMatrix) throws {
    guard isSymmetric(test.matrix) else { return }
    let single: Tensor<Float> = test.matrix.converted()
    for ratios in [
      try SymmetricEigen(test.matrix, backend: .swift).testRatios(test.matrix),
      try SymmetricEigen(single, backend: .swift).testRatios(single),
    ] {
      #expect(ratios.reconstruction < 30, "\(test)")
      #expect(ratios.orthogonality < 30, "\(test)")
    }
  }

  @Test func valuesOfMatricesOfOnes() throws {
    for n in [174, 200] {
      for method in [SVD<Float>.Method.swift, .jacobi] {
        let values = try SVD(Tensor<Float>([n, n], repeating: 1), method: method).singularValues
        #expect(abs(values[0] - Float(n)) < 1e-4 * Float(n))
        #expect(values.dropFirst().allSatisfy { $0 < 1e-5 * Float(n) })
      }
    }
  }
}
