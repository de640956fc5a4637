// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

extension Tensor where Element == Double {
  /// Σ core[r₁, r₂, …] · u₁[·, r₁] ⊗ u₂[·, r₂] ⊗ …, term by term.
  public static func tucker(_ core: Tensor, _ factors: [Tensor]) -> Tensor {
    var tensor = Tensor(zeros: Shape(factors.map { $0.shape[0] }))
    for (place, value) in core.elements.enumerated() {
      var rest = place
      var columns = [Int](repeating: 0, count: factors.count)
      for mode in factors.indices.reversed() {
        columns[mode] = rest % core.shape[mode]
        rest /= core.shape[mode]
      }
      tensor.addProduct(
        of: factors.indices.map { mode in
          (0..<factors[mode].shape[0]).map { factors[mode][$0, columns[mode]] }
        }, times: value)
    }
    return tensor
  }

  /// Σ weights[r] · a[·, r] ⊗ b[·, r] ⊗ …, term by term.
  public static func polyadic(_ weights: [Double], _ factors: [Tensor]) -> Tensor {
    var tensor = Tensor(zeros: Shape(factors.map { $0.shape[0] }))
    for r in weights.indices {
      tensor.addProduct(
        of: factors.map { factor in (0..<factor.shape[0]).map { factor[$0, r] } },
        times: weights[r])
    }
    return tensor
  }

  /// Adds a multiple of v₁ ⊗ v₂ ⊗ ….
  public mutating func addProduct(of vectors: [[Double]], times factor: Double) {
    var values = mutableSpan
    for place in values.indices {
      var (rest, value) = (place, factor)
      for vector in vectors.reversed() {
        value *= vector[rest % vector.count]
        rest /= vector.count
      }
      values[place] += value
    }
  }

  /// ‖this − other‖ / ‖this‖ in the Frobenius norm; infinite if anything is not finite.
  public func distance(to other: Tensor) -> Double {
    var (error, energy) = (0.0, 0.0)
    for (x, y) in zip(elements, other.elements) {
      error += (x - y) * (x - y)
      energy += x * x
    }
    let ratio = error == 0 ? 0 : (error / energy).squareRoot()
    return ratio.isFinite ? ratio : .infinity
  }
}
