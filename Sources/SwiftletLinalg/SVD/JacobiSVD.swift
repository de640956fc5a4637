// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// The singular value decomposition by one-sided Jacobi rotations. Slower than divide and conquer,
/// but small singular values keep the digits that other methods lose to the rounding of the largest
/// one: A = D₁·B·D₂ with any diagonal D₁ and D₂ is computed as accurately as the well-conditioned B
/// alone.
///
/// A QR factorization with sorted rows and column pivoting moves the scales into the rows of R;
/// these are then rotated against each other until all are orthogonal. Each row carries its own
/// power of two, so neither squares nor products of very different rows leave the range of the
/// type.
///
/// - Source: Drmač & Veselić, "New fast and accurate Jacobi SVD algorithm" I and II (2008); Demmel
///   & Veselić, "Jacobi's method is more accurate than QR" (1992); Cox & Higham, "Stability of
///   Householder QR factorization for weighted least squares problems" (1998); LAPACK `?gejsv`.
enum JacobiSVD {
  /// - Returns: The thin factors.
  /// - Throws: `numerical` if the sweeps do not converge.
  /// - Complexity: O(m·n²) for the QR factorization and O(n³) for each of 3 to 12 sweeps.
  @specialized(where T == Float)
  @specialized(where T == Double)
  static func svd<T: BLASElement>(_ a: Tensor<T>) throws -> SwiftSVD.Factors<T> {
    let (m, n) = (a.shape[0], a.shape[1])
    if m < n {
      let (u, s, vt) = try svd(a.transposed().contiguous())
      return (vt.transposed().contiguous(), s, u.transposed().contiguous())
    }
    var work = a.contiguous()
    // As large as sums of the elements allow, so that small elements do not underflow.
    let scale = ScaledMatrix.normalize(&work, to: T.greatestFiniteMagnitude.exponent - 27)
    // With the large rows first, reflections do not spoil small rows with the rounding of large
    // ones.
    var sorted = Tensor<T>(uninitialized: [m, n])
    let rowOrder = work.withView { work in
      let largest = (0..<m).map { work.rowBlock($0..<$0 + 1).largestMagnitude }
      let order = largest.indices.sorted { (largest[$1], $0) < (largest[$0], $1) }
      sorted.withView { $0.copyRows(order, of: work) }
      return order
    }
    var factors = SwiftQR.pivotedQR(sorted)
    // R = Gᵀ·R′, and the rows of R′ are orthogonal: A·P = Q·Gᵀ·R′ is the decomposition.
    var g = Tensor<T>(zeros: [n, n])
    var left = Tensor<T>(uninitialized: [n, n])
    var right = Tensor<T>(uninitialized: [n, n])
    let values = try factors.r.withView { r in
      try g.withView { g in
        g.setIdentity()
        var rows = ScaledRows(r)
        try rows.orthogonalize(turningAlso: g)
        let order = rows.descending
        let values = order.map { rows.norm($0) }
        left.withView { $0.copyRows(order, of: g) }
        right.withView { right in
          right.copyRows(order, of: r)
          for (place, row) in order.enumerated() where values[place] > 0 {
            right.rowBlock(place..<place + 1).divide(by: rows.squares[row].squareRoot())
          }
          complete(right.transposed, from: values.count { $0 > 0 })
        }
        return values
      }
    }
    var product = matrixProduct(factors.q, left, transposeB: true)
    var u = Tensor<T>(uninitialized: [m, n])
    var vt = Tensor<T>(uninitialized: [n, n])
    u.withView { u in product.withView { u.copyRows(rowOrder.inverted, of: $0) } }
    vt.withView { vt in
      right.withView {
        vt.transposed.copyRows(factors.permutation.inverted, of: $0.transposed)
      }
    }
    return (u, values.map { $0 / scale }, vt)
  }

  /// Fills the columns from `first` on so that all are orthonormal, by Gram–Schmidt on unit
  /// vectors, applied twice.
  private static func complete<T: BLASElement>(_ u: MatrixView<T>, from first: Int) {
    var unit = 0
    for column in first..<max(first, u.columns) {
      while true {
        for i in 0..<u.rows { u[i, column] = i == unit ? 1 : 0 }
        unit += 1
        for _ in 0..<2 {
          for other in 0..<column {
            var product: T = 0
            for i in 0..<u.rows { product += u[i, column] * u[i, other] }
            for i in 0..<u.rows { u[i, column] -= product * u[i, other] }
          }
        }
        var length: T = 0
        for i in 0..<u.rows { length += u[i, column] * u[i, column] }
        // A unit vector in the span of the others leaves only rounding errors.
        guard length > 1 / T(4 * u.rows) || unit >= u.rows else { continue }
        for i in 0..<u.rows { u[i, column] /= length.squareRoot() }
        break
      }
    }
  }
}

/// Rows whose elements have moderate size, each with its own power of two.
private struct ScaledRows<T: BLASElement> {
  private let rows: MatrixView<T>
  private var exponents: [Int]
  /// The squared lengths of the rows without their powers of two: 0, or of moderate size.
  private(set) var squares: [T]
  private let kernels = T._routines.kernels

  init(_ rows: MatrixView<T>) {
    self.rows = rows
    exponents = [Int](repeating: 0, count: rows.rows)
    squares = [T](repeating: 0, count: rows.rows)
    for row in 0..<rows.rows { rescale(row) }
  }

  /// The length of a row.
  func norm(_ row: Int) -> T {
    T(sign: .plus, exponent: T.Exponent(exponents[row]), significand: squares[row].squareRoot())
  }

  /// The rows in order of decreasing length.
  var descending: [Int] {
    // Lengths may differ by more than the range of the type: compare the powers of two first.
    let keys = squares.indices.map { row in
      squares[row] > 0
        ? (exponents[row] * 2 + Int(squares[row].exponent), squares[row].significand) : (Int.min, 0)
    }
    return keys.indices.sorted { (keys[$1].0, keys[$1].1, $0) < (keys[$0].0, keys[$0].1, $1) }
  }

  /// Rotates the rows, and those of `rotations` with them, until all are orthogonal.
  ///
  /// A row that depends on others shrinks to its rounding error, which is as good as any row, or to
  /// 0.
  ///
  /// - Throws: `numerical` if the iteration does not converge.
  mutating func orthogonalize(turningAlso rotations: MatrixView<T>) throws {
    let count = rows.rows
    let tolerance = T.ulpOfOne * max(2, T(count).squareRoot() / 2)
    for _ in 0..<60 {
      var isDone = true
      for p in 0..<count where squares[p] > 0 {
        for q in p + 1..<max(count, p + 1) where squares[q] > 0 {
          let product = unsafe kernels.dot(rows.columns, address(p), address(q))
          guard abs(product) > tolerance * (squares[p] * squares[q]).squareRoot() else { continue }
          isDone = false
          if exponents[p] >= exponents[q] {
            rotate(p, q, product, rotations)
          } else {
            rotate(q, p, product, rotations)
          }
        }
      }
      if isDone { return }
      for row in 0..<count { measure(row) }
    }
    throw SwiftletError(
      .numerical, "the Jacobi sweeps did not converge", at: "\(count)×\(rows.columns)")
  }

  /// Makes two rows orthogonal by the smaller of the two possible angles.
  ///
  /// - Parameter small: The row whose power of two is at most that of `large`.
  private mutating func rotate(
    _ large: Int, _ small: Int, _ product: T, _ rotations: MatrixView<T>
  ) {
    // With r the ratio of the powers of two, the tangent t is r·u. Only u, which is of order 1 or
    // less, and r·t multiply the elements.
    let ratio = T(
      sign: .plus, exponent: T.Exponent(exponents[small] - exponents[large]), significand: 1)
    let zeta: T = (ratio * ratio * squares[small] - squares[large]) / (2 * product)
    let u: T = (zeta < 0 ? -1 : 1) / (abs(zeta) + (ratio * ratio + zeta * zeta).squareRoot())
    let t: T = u * ratio
    let length = (1 + t * t).squareRoot()
    // 1 − cos: subtracting the change of a rotation preserves lengths; multiplying by a rounded
    // cosine would make them drift, always in the same direction.
    let rest = t * t / (length * (1 + length))
    unsafe kernels.rotateScaled(
      rows.columns, rest, u * ratio * ratio / length, u / length, address(large), address(small))
    let (x, y) = unsafe (
      rotations.base + large * rotations.rowStep, rotations.base + small * rotations.rowStep
    )
    unsafe kernels.rotateScaled(rotations.columns, rest, t / length, t / length, x, y)
    squares[large] -= u * ratio * ratio * product
    let shortened = squares[small] + u * product
    // If a row loses most of its length, the rest is measured rather than computed.
    if shortened > squares[small] / 2 { squares[small] = shortened } else { measure(small) }
  }

  /// Computes the length of a row, and keeps its elements in the middle of the type's range.
  private mutating func measure(_ row: Int) {
    squares[row] = unsafe kernels.dot(rows.columns, address(row), address(row))
    if !(squares[row] > 0x1p-20 && squares[row] < 0x1p40) { rescale(row) }
  }

  /// Scales the largest element of a row close to 1. A row below the range of the type becomes 0: a
  /// row that depends on others would otherwise shrink forever.
  private mutating func rescale(_ row: Int) {
    let view = rows.rowBlock(row..<row + 1)
    let largest = view.largestMagnitude
    let exponent = largest > 0 ? Int(largest.exponent) : 0
    guard largest > 0, exponents[row] + exponent >= Int(T.leastNonzeroMagnitude.exponent) else {
      view.fill(with: 0)
      squares[row] = 0
      return
    }
    if exponent != 0 {
      exponents[row] += exponent
      for j in 0..<view.columns {
        view[0, j] = T(sign: .plus, exponent: T.Exponent(-exponent), significand: view[0, j])
      }
    }
    squares[row] = unsafe kernels.dot(rows.columns, address(row), address(row))
  }

  private func address(_ row: Int) -> UnsafeMutablePointer<T> {
    unsafe rows.base + row * rows.rowStep
  }
}

extension [Int] {
  /// The position of each index in this permutation.
  fileprivate var inverted: [Int] {
    var places = self
    for (place, index) in enumerated() { places[index] = place }
    return places
  }
}
