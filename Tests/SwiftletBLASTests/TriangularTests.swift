// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import Testing
import _SwiftletTestSupport

/// Triangular systems by the library and by our own blocks.
struct TriangularTests {
  struct Case: Sendable, CustomStringConvertible {
    let n, columns: Int
    let isLower, isUnit, transpose: Bool
    var description: String {
      "\(n), \(columns) columns\(isLower ? ", lower" : "")\(isUnit ? ", unit" : "")"
        + (transpose ? ", transposed" : "")
    }

    static let all = [1, 2, 5, 63, 64, 65, 130].flatMap { n in
      [1, 3, 17].flatMap { columns in
        (0..<8).map {
          Case(
            n: n, columns: columns, isLower: $0 & 1 > 0, isUnit: $0 & 2 > 0, transpose: $0 & 4 > 0)
        }
      }
    }
  }

  @Test(arguments: Case.all)
  func solutionsSolve(test: Case) {
    let n = test.n
    var generator = RandomGenerator(seed: 50)
    // Diagonally dominant, so that the system is well conditioned with or without its diagonal.
    var stored = Tensor<Double>([n, n], uniformIn: -1...1, using: &generator)
    var triangle = Tensor<Double>(zeros: [n, n])
    for i in 0..<n {
      for j in 0..<n {
        if i == j {
          stored[i, j] = 2
          triangle[i, j] = test.isUnit ? 1 : 2
        } else if (i > j) == test.isLower {
          stored[i, j] /= Double(n)
          triangle[i, j] = stored[i, j]
        }
      }
    }
    let operation = test.transpose ? triangle.transposed().contiguous() : triangle
    let b = Tensor<Double>([n, test.columns], uniformIn: -1...1, using: &generator)
    var x = b
    do {
      var target = x.mutableSpan
      BLAS.trsm(
        n: n, columns: test.columns, a: stored.span, lda: n, isLower: test.isLower,
        isUnit: test.isUnit, transposeA: test.transpose, b: &target, ldb: test.columns)
    }
    #expect(TestRatio.difference(b, .product(operation, x)) < 30)
    var own = b
    own.withView { own in
      stored.withView { stored in
        own.solve(
          test.transpose ? stored.transposed : stored, isLower: test.isLower != test.transpose,
          isUnit: test.isUnit)
      }
    }
    #expect(TestRatio.difference(b, .product(operation, own)) < 30)
  }
}
