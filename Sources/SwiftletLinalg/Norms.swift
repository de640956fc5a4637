// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletCore

/// A matrix norm.
public enum MatrixNorm: String, Sendable, CaseIterable {
  /// The largest sum of magnitudes in a column.
  case one
  /// The largest sum of magnitudes in a row.
  case infinity
  /// √Σ aᵢⱼ².
  case frobenius
  /// The largest magnitude.
  case max
  /// The largest singular value.
  case spectral
  /// The sum of the singular values.
  case nuclear
}

extension Tensor where Element: BLASElement {
  /// A norm of this matrix; 0 for an empty one.
  ///
  /// - Throws: `badInput` for NaN or infinite elements; `numerical` if the norm needs singular
  ///   values and the iteration stalls.
  /// - Precondition: Rank 2.
  /// - Complexity: O(m·n), for the last two norms O(m·n·min(m, n)).
  public func norm(_ kind: MatrixNorm) throws -> Element {
    try requireFiniteMatrix("norm")
    switch kind {
    case .spectral: return try SVD.values(of: self).first ?? 0
    case .nuclear: return try SVD.values(of: self).reduce(0, +)
    case .max: return contiguous().largestMagnitude
    case .frobenius: return frobeniusNorm
    case .one: return transposed().contiguous().largestRowSum
    case .infinity: return contiguous().largestRowSum
    }
  }

  /// √Σ aᵢⱼ², infinite or NaN if elements are.
  var frobeniusNorm: Element {
    let packed = contiguous()
    return unsafe packed.span.withUnsafeBufferPointer {
      guard let start = $0.baseAddress else { return 0 }
      return unsafe Householder.norm(start, count: $0.count)
    }
  }

  private var largestMagnitude: Element {
    var largest: Element = 0
    let elements = span
    for i in elements.indices { largest = Swift.max(largest, abs(elements[i])) }
    return largest
  }

  private var largestRowSum: Element {
    let columns = shape[1]
    var largest: Element = 0
    let elements = span
    for row in 0..<shape[0] {
      let values = elements.extracting(row * columns..<(row + 1) * columns)
      var sum: Element = 0
      for j in values.indices { sum += abs(values[j]) }
      largest = Swift.max(largest, sum)
    }
    return largest
  }

  /// The ratio of the largest to the smallest of the min(m, n) singular values: 1 for an empty
  /// matrix, infinite for one without full rank.
  ///
  /// - Throws: As ``norm(_:)``.
  /// - Precondition: Rank 2.
  public func conditionNumber() throws -> Element {
    let values = try SVD.values(of: self)
    guard let largest = values.first, let smallest = values.last else { return 1 }
    return smallest > 0 ? largest / smallest : .infinity
  }

  /// The Moore–Penrose inverse, n×m.
  ///
  /// - Parameter tolerance: Singular values below this fraction of the largest count as 0; default:
  ///   max(m, n) · ε.
  /// - Throws: As ``norm(_:)``.
  /// - Precondition: Rank 2.
  /// - Complexity: O(m·n·min(m, n)).
  public func pseudoInverse(tolerance: Element? = nil) throws -> Tensor {
    let svd = try SVD(self)
    let rank = svd.rank(tolerance: tolerance)
    let cut = try svd.truncated(to: rank)
    var right = cut.vt
    right.withView { rows in
      for i in 0..<rank { rows.rowBlock(i..<i + 1).divide(by: cut.singularValues[i]) }
    }
    return matrixProduct(right, cut.u, transposeA: true, transposeB: true)
  }
}

extension SVD {
  /// The number of singular values that exceed `tolerance` times the largest.
  ///
  /// - Parameter tolerance: Default: max(m, n) · ε.
  public func rank(tolerance: T? = nil) -> Int {
    let size = T(max(u.shape[0], vt.shape[1]))
    let limit = (singularValues.first ?? 0) * (tolerance ?? size * T.ulpOfOne)
    return singularValues.count { $0 > limit }
  }
}
