// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Singular values of an upper bidiagonal matrix by implicit QR steps that also rotate its vectors.
///
/// - Source: Golub & Kahan (1965); Demmel & Kahan, "Accurate singular values of bidiagonal
///   matrices" (1990); LAPACK `?bdsqr`, `?lasdq`.
struct BidiagonalQR<T: BLASElement> {
  private var d: [T]
  private var e: [T]
  /// Rows are left and right vectors.
  private let left: MatrixView<T>?
  private let right: MatrixView<T>?
  private let negligible: T

  /// - Parameters:
  ///   - superdiagonal: One element less than the diagonal, or the same number: then there is one
  ///     more column than rows.
  ///   - left, right: Matrices whose rows are rotated along, or none.
  ///   - negligible: Elements up to this magnitude count as 0; see `BLASElement.negligible(_:_:)`.
  /// - Returns: The singular values, unordered. Row i of `left` and `right` belongs to value i; the
  ///   last row of `right` is the null vector if there is an extra column.
  /// - Throws: `numerical` if the iteration stalls.
  static func solve(
    diagonal: [T], superdiagonal: [T], left: MatrixView<T>?, right: MatrixView<T>?, negligible: T
  ) throws -> [T] {
    var solver = BidiagonalQR(
      d: diagonal, e: superdiagonal, left: left, right: right, negligible: negligible)
    if superdiagonal.count == diagonal.count { solver.removeLastColumn() }
    try solver.iterate()
    return solver.d
  }

  /// Zeros the extra column, from the bottom up.
  private mutating func removeLastColumn() {
    guard var fill = e.popLast() else { return }
    for k in d.indices.reversed() {
      let (c, s, r) = Self.rotation(d[k], fill)
      d[k] = r
      turn(right, k, d.count, c, s)
      guard k > 0 else { break }
      fill = -s * e[k - 1]
      e[k - 1] *= c
    }
  }

  private mutating func iterate() throws {
    let n = d.count
    var end = n - 1
    var steps = 0
    let largest = d.reduce(0) { max($0, abs($1)) }
    while end > 0 {
      for i in 0..<end
      where abs(e[i]) <= max(negligible, T.ulpOfOne / 2 * (abs(d[i]) + abs(d[i + 1]))) {
        e[i] = 0
      }
      if e[end - 1] == 0 {
        end -= 1
        continue
      }
      var start = end - 1
      while start > 0 && e[start - 1] != 0 { start -= 1 }
      steps += 1
      guard steps <= 60 * n else {
        throw SwiftletError(.numerical, "bidiagonal QR did not converge", at: "\(n) values")
      }
      if let zero = (start...end).first(where: { abs(d[$0]) <= T.ulpOfOne / 2 * largest }) {
        d[zero] = 0
        if zero == end { clearColumn(zero, from: start) } else { clearRow(zero, to: end) }
      } else {
        sweep(start, end)
      }
    }
    for i in 0..<n where d[i] < 0 {
      d[i] = -d[i]
      if let right { right.rowBlock(i..<i + 1).scale(by: -1) }
    }
  }

  /// A zero on the diagonal: rotations with the rows below clear the rest of its row.
  private mutating func clearRow(_ i: Int, to end: Int) {
    var fill = e[i]
    e[i] = 0
    for k in i + 1...end {
      let (c, s, r) = Self.rotation(d[k], fill)
      d[k] = r
      turn(left, k, i, c, s)
      guard k < end else { break }
      fill = -s * e[k]
      e[k] *= c
    }
  }

  /// A zero at the end of the diagonal: rotations with the preceding columns clear the rest of its
  /// column.
  private mutating func clearColumn(_ end: Int, from start: Int) {
    var fill = e[end - 1]
    e[end - 1] = 0
    for k in (start..<end).reversed() {
      let (c, s, r) = Self.rotation(d[k], fill)
      d[k] = r
      turn(right, k, end, c, s)
      guard k > start else { break }
      fill = -s * e[k - 1]
      e[k - 1] *= c
    }
  }

  /// One implicit QR step on the rows `start ... end`.
  private mutating func sweep(_ start: Int, _ end: Int) {
    let shift = Self.smallerSingularValue(d[end - 1], e[end - 1], d[end])
    let first = abs(d[start])
    let ratio = shift / first
    // A shift this small would be lost in rounding: a zero shift is as fast and more accurate.
    var f = d[start]
    if ratio * ratio > T.ulpOfOne {
      f = (first - shift) * ((d[start] < 0 ? -1 : 1) + shift / d[start])
    }
    var g = e[start]
    for k in start..<end {
      var (c, s, r) = Self.rotation(f, g)
      if k > start { e[k - 1] = r }
      f = c * d[k] + s * e[k]
      e[k] = c * e[k] - s * d[k]
      g = s * d[k + 1]
      d[k + 1] *= c
      turn(right, k, k + 1, c, s)
      (c, s, r) = Self.rotation(f, g)
      d[k] = r
      f = c * e[k] + s * d[k + 1]
      d[k + 1] = c * d[k + 1] - s * e[k]
      if k + 1 < end {
        g = s * e[k + 1]
        e[k + 1] *= c
      }
      turn(left, k, k + 1, c, s)
    }
    e[end - 1] = f
  }

  private func turn(_ vectors: MatrixView<T>?, _ i: Int, _ j: Int, _ c: T, _ s: T) {
    guard let vectors else { return }
    unsafe T._routines.kernels.rotate(
      vectors.columns, c, s, vectors.base + i * vectors.rowStep, vectors.base + j * vectors.rowStep)
  }

  /// c and s with c·f + s·g = r and c·g − s·f = 0.
  static func rotation(_ f: T, _ g: T) -> (c: T, s: T, r: T) {
    if g == 0 { return (1, 0, f) }
    if f == 0 { return (0, 1, g) }
    let r = T.length(f, g)
    guard r >= T.leastNormalMagnitude / T.ulpOfOne else {
      // The quotients of subnormal numbers would not have norm 1.
      let (c, s, scaled) = rotation(f / T.leastNormalMagnitude, g / T.leastNormalMagnitude)
      return (c, s, scaled * T.leastNormalMagnitude)
    }
    return (f / r, g / r, r)
  }

  /// The smaller singular value of the matrix (f, g; 0, h). Source: LAPACK `?las2`.
  private static func smallerSingularValue(_ f: T, _ g: T, _ h: T) -> T {
    let (small, large) = (min(abs(f), abs(h)), max(abs(f), abs(h)))
    guard small > 0 else { return 0 }
    let side = abs(g)
    if side <= large {
      let (a, b, c) = (1 + small / large, (large - small) / large, side / large)
      return small * (2 / ((a * a + c * c).squareRoot() + (b * b + c * c).squareRoot()))
    }
    let ratio = large / side
    guard ratio > 0 else { return small * large / side }
    let a = (1 + small / large) * ratio
    let b = (large - small) / large * ratio
    let c = (1 + a * a).squareRoot() + (1 + b * b).squareRoot()
    return 2 * (small / c * ratio)
  }
}
