// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SwiftletCore

/// Matrices to try routines on, with names for messages.
public struct NamedMatrix: Sendable, CustomStringConvertible {
  public let description: String
  public let matrix: Tensor<Double>

  public init(_ kind: String, _ m: Int, _ n: Int, _ element: (Int, Int) -> Double) {
    description = "\(kind) \(m)×\(n)"
    var matrix = Tensor<Double>(zeros: [m, n])
    for i in 0..<m {
      for j in 0..<n { matrix[i, j] = element(i, j) }
    }
    self.matrix = matrix
  }

  /// Ordinary and awkward matrices: sizes 0 to 200, tall and wide; zero, identity, rank 1, graded
  /// from 1 to 1e-15 either way, Hilbert, repeated and clustered singular values.
  public static let zoo: [NamedMatrix] = {
    var generator = RandomGenerator(seed: 7)
    var zoo: [NamedMatrix] = []
    let sizes = [
      (0, 0), (0, 3), (3, 0), (1, 1), (1, 7), (2, 2), (3, 5), (5, 3), (10, 10), (16, 50),
      (50, 16), (50, 50), (129, 40), (40, 129), (129, 129), (200, 200), (300, 60),
    ]
    for (m, n) in sizes {
      zoo.append(NamedMatrix("random", m, n) { _, _ in generator.normal() })
    }
    for n in [1, 2, 3, 5, 16, 50, 129] {
      zoo.append(NamedMatrix("zero", n, n) { _, _ in 0 })
      zoo.append(NamedMatrix("identity", n, n) { $0 == $1 ? 1 : 0 })
      zoo.append(NamedMatrix("rank one", n, n + 2) { Double(($0 + 1) * ($1 - 3)) })
      zoo.append(NamedMatrix("Hilbert", n, n) { 1 / Double($0 + $1 + 1) })
    }
    for n in [10, 60, 129] {
      for end in [-15.0, 15] {
        let step = end / Double(2 * n - 2)
        zoo.append(
          NamedMatrix("graded 1e\(Int(end))", n, n) { i, j in
            generator.normal() * pow(10, step * Double(i + j))
          })
      }
      // Bidiagonal already, with equal values, couplings of all sizes and zeros on the diagonal.
      zoo.append(NamedMatrix("ones", n, n) { $0 == $1 || $0 + 1 == $1 ? 1 : 0 })
      zoo.append(
        NamedMatrix("weakly coupled", n, n) { i, j in
          i == j ? 1 : i + 1 == j ? pow(10, -Double(i % 20)) : 0
        })
      zoo.append(
        NamedMatrix("zeros on the diagonal", n, n) { i, j in
          i == j ? (i % 7 == 3 ? 0 : 1 + Double(i % 3)) : i + 1 == j ? 0.5 : 0
        })
      // Two values only, each many times.
      zoo.append(
        NamedMatrix("repeated", n, n) { i, j in
          (i == j ? 3 : 0) - 4 / Double(n) * (i % 2 == j % 2 ? 1 : 0)
        })
    }
    return zoo
  }()

  /// Matrices at the ends of what a double can hold.
  public static let extremes: [NamedMatrix] = {
    var generator = RandomGenerator(seed: 8)
    return [(1e150, 12), (1e-150, 12), (1e150, 70), (1e-150, 70), (0x1p-1030, 9), (1e300, 40)].map {
      scale, n in
      NamedMatrix("\(scale)", n, n + 1) { _, _ in generator.normal() * scale }
    }
  }()

  /// The matrix times its transpose, which is symmetric.
  public var gram: NamedMatrix {
    let product = Tensor.product(matrix, matrix.transposed())
    return NamedMatrix("Gram of \(description)", product.shape[0], product.shape[1]) {
      product[min($0, $1), max($0, $1)]
    }
  }
}

extension Tensor where Element == Double {
  /// The largest magnitude; 0 for an empty tensor.
  public var largest: Double { elements.reduce(0) { Swift.max($0, abs($1)) } }

  /// The plain product of two matrices.
  public static func product(_ a: Tensor<Double>, _ b: Tensor<Double>) -> Tensor<Double> {
    var c = Tensor<Double>(zeros: [a.shape[0], b.shape[1]])
    let (x, y, n, depth) = (a.elements, b.elements, b.shape[1], a.shape[1])
    var target = c.mutableSpan
    for i in 0..<a.shape[0] {
      for k in 0..<depth {
        for j in 0..<n { target[i * n + j] += x[i * depth + k] * y[k * n + j] }
      }
    }
    return c
  }
}

/// LAPACK's test ratios: numbers of moderate size for correct results, whatever the matrix.
public enum TestRatio {
  /// ‖A − B‖ / (‖A‖ · max(m, n) · ε); 0 / 0 is 0.
  public static func difference(
    _ a: Tensor<Double>, _ b: Tensor<Double>, epsilon: Double = Double.ulpOfOne
  ) -> Double {
    var error = 0.0
    for (x, y) in zip(a.elements, b.elements) {
      guard x.isFinite && y.isFinite else { return .infinity }
      error = max(error, abs(x - y))
    }
    guard error > 0 else { return 0 }
    // Among subnormal numbers rounding is no longer relative.
    let unit = max(a.largest * epsilon, Double.leastNonzeroMagnitude)
    return error / (unit * Double(max(a.shape[0], a.shape[1])))
  }

  /// ‖I − QᵀQ‖ / (m · ε) of a matrix with orthonormal columns.
  public static func orthogonality(
    _ q: Tensor<Double>, epsilon: Double = Double.ulpOfOne
  ) -> Double {
    let gram = Tensor.product(q.transposed(), q)
    var error = 0.0
    for i in 0..<gram.shape[0] {
      for j in 0..<gram.shape[1] { error = max(error, abs(gram[i, j] - (i == j ? 1 : 0))) }
    }
    return error / (Double(max(1, q.shape[0])) * epsilon)
  }
}
