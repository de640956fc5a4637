public import SwiftletBLAS
public import SwiftletCore

/// A = U · diag(s) · Vᵀ of an m×n matrix: U m×r and V n×r with orthonormal columns, s descending,
/// r = min(m, n) or the rank it was cut to.
public struct SVD<T: BLASElement>: Sendable {
  public let u: Tensor<T>
  public let singularValues: [T]
  public let vt: Tensor<T>

  /// - Throws: `badInput` for NaN or infinite elements, `numerical` if the iteration stalls.
  /// - Complexity: O(m·n·min(m, n)).
  /// - Source: LAPACK `?gesdd`.
  public init(_ matrix: Tensor<T>, threads: Int = 1) throws {
    (u, singularValues, vt) = try LAPACK.svd(matrix, threads: threads)
  }

  private init(u: Tensor<T>, singularValues: [T], vt: Tensor<T>) {
    (self.u, self.singularValues, self.vt) = (u, singularValues, vt)
  }

  /// The best approximation of lower rank, in the spectral and the Frobenius norm (Eckart & Young
  /// 1936).
  ///
  /// - Precondition: `0 ≤ rank ≤ singularValues.count`.
  public func truncated(to rank: Int) -> SVD {
    SVD(
      u: u.slice(axis: 1, range: 0..<rank).contiguous(),
      singularValues: Array(singularValues[..<rank]),
      vt: vt.slice(axis: 0, range: 0..<rank).contiguous())
  }

  /// Two factors whose product is the matrix, each holding half of every singular value, so that
  /// both have the same scale: left m×r, right r×n.
  public var balancedFactors: (left: Tensor<T>, right: Tensor<T>) {
    let roots = singularValues.map { $0.squareRoot() }
    var (left, right) = (u, vt)
    let rank = roots.count
    do {
      var values = left.mutableSpan
      for i in values.indices { values[i] *= roots[i % max(1, rank)] }
    }
    let columns = vt.shape[1]
    var values = right.mutableSpan
    for i in values.indices { values[i] *= roots[i / max(1, columns)] }
    return (left, right)
  }
}

/// Numbers that tell how much of a matrix a rank keeps.
public enum Spectrum {
  /// The fraction of Σ values kept by the first `rank`; 1 for a zero spectrum.
  ///
  /// - Parameter energies: Squared singular values, or eigenvalues of a covariance; descending.
  public static func energy(_ energies: [Double], rank: Int) -> Double {
    let total = energies.reduce(0, +)
    return total > 0 ? energies[..<rank].reduce(0, +) / total : 1
  }

  /// The smallest rank, at least 1, that keeps `energy` (0…1) of Σ values.
  public static func rank(_ energies: [Double], keeping energy: Double) -> Int {
    let goal = energy * energies.reduce(0, +)
    var sum = 0.0
    for (index, value) in energies.enumerated() {
      sum += value
      if sum >= goal { return index + 1 }
    }
    return max(1, energies.count)
  }
}
