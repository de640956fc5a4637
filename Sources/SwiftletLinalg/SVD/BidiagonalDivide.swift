// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Singular values and vectors of an upper bidiagonal matrix by divide and conquer: one row is
/// removed, both halves are solved, and the row is added back by solving a secular equation. Nearly
/// all work is matrix products, and less where vectors deflate.
///
/// - Source: Gu & Eisenstat, "A divide-and-conquer algorithm for the bidiagonal SVD" (1995);
///   LAPACK `?bdsdc`, `?lasd0` to `?lasd4`.
struct BidiagonalDivide<T: BLASElement> {
  private let d: [T]
  private let e: [T]
  /// The vectors, as rows; both start as zeros.
  private let left: MatrixView<T>
  private let right: MatrixView<T>
  private var values: [T]
  /// Values up to this magnitude count as 0, regardless of their neighbours: the rounding error of
  /// the whole matrix. Halves that hold nothing else would otherwise iterate to the last subnormal
  /// bit and not converge.
  private let negligible: T
  private static var leafSize: Int { 24 }

  /// - Parameters:
  ///   - left, right: n×n matrices of zeros, whose rows become the vectors.
  /// - Returns: The singular values, unordered: value i belongs to rows i.
  /// - Throws: `numerical` if an iteration stalls.
  static func solve(
    diagonal: [T], superdiagonal: [T], left: MatrixView<T>, right: MatrixView<T>
  ) throws -> [T] {
    var solver = BidiagonalDivide(
      d: diagonal, e: superdiagonal, left: left, right: right,
      values: [T](repeating: 0, count: diagonal.count),
      negligible: T.negligible(diagonal, superdiagonal))
    try solver.solve(0..<diagonal.count, extra: 0)
    return solver.values
  }

  /// Solves the rows `range`, which have `extra` (0 or 1) more columns than rows.
  private mutating func solve(_ range: Range<Int>, extra: Int) throws {
    let columns = range.lowerBound..<range.upperBound + extra
    if range.count <= Self.leafSize {
      let (u, v) = (left.block(range, range), right.block(columns, columns))
      u.setIdentity()
      v.setIdentity()
      let superdiagonal = e[range.lowerBound..<max(range.lowerBound, columns.upperBound - 1)]
      let solved = try BidiagonalQR.solve(
        diagonal: Array(d[range]), superdiagonal: Array(superdiagonal), left: u, right: v,
        negligible: negligible)
      values.replaceSubrange(range, with: solved)
      return
    }
    let middle = range.lowerBound + range.count / 2
    try solve(range.lowerBound..<middle, extra: 1)
    try solve(middle + 1..<range.upperBound, extra: extra)
    try merge(range, middle, extra: extra)
  }

  private mutating func merge(_ range: Range<Int>, _ middle: Int, extra: Int) throws {
    let columns = range.lowerBound..<range.upperBound + extra
    let (alpha, beta) = (d[middle], e[middle])
    left[middle, middle] = 1

    // The null vectors of both halves: one rotated combination meets the row, the other is
    // unaffected.
    var first = alpha * right[middle, middle]
    if extra == 1 {
      let other = beta * right[range.upperBound, middle + 1]
      let (c, s, r) = BidiagonalQR.rotation(first, other)
      first = r
      turn(right, middle, range.upperBound, c, s, columns)
    }
    let scale = range.reduce(max(abs(alpha), abs(beta))) {
      $1 == middle ? $0 : max($0, abs(values[$1]))
    }
    let tolerance = max(8 * T.ulpOfOne * scale, negligible)
    if abs(first) <= tolerance { first = first < 0 ? -tolerance : tolerance }

    values[middle] = 0
    var entries = [MergeEntry(row: middle, value: 0, z: first, support: .mixed)]
    for row in ascending(range, by: values) where row != middle {
      let isUpper = row < middle
      var entry = MergeEntry(
        row: row, value: values[row],
        z: isUpper ? alpha * right[row, middle] : beta * right[row, middle + 1],
        support: isUpper ? .upper : .lower)
      guard abs(entry.z) > tolerance else { continue }
      if entries.count > 1, let last = entries.last, entry.value - last.value <= tolerance {
        // Two equal values are rotated so that only one of them meets the row.
        let length = T.length(last.z, entry.z)
        let (c, s) = (entry.z / length, -last.z / length)
        turn(left, last.row, row, c, s, range)
        turn(right, last.row, row, c, s, columns)
        entry.z = length
        if last.support != entry.support { entry.support = .mixed }
        entries.removeLast()
      }
      entries.append(entry)
    }
    if entries.count > 1 { entries[1].value = max(entries[1].value, tolerance / 2) }
    guard scale > 0 else { return }
    try rotate(entries, range, columns, middle, unit: .powerOfFour(near: max(scale, tolerance)))
  }

  /// Solves the secular equation of the entries and computes their vectors.
  ///
  /// - Parameter unit: The unit of measurement, chosen so that squares stay in range.
  private mutating func rotate(
    _ entries: [MergeEntry<T>], _ range: Range<Int>, _ columns: Range<Int>, _ middle: Int, unit: T
  ) throws {
    let count = entries.count
    let z = entries.map { $0.z / unit }
    let poles = entries.map { $0.value / unit }
    let equation = SecularEquation(poles: poles, z: z, isSquared: true)
    let merge = RankOneMerge(entries, rows: range)
    let boundary = middle - range.lowerBound + 1
    // Gaps, then weights of right vectors, then of left vectors, all in one matrix.
    var weights = Tensor<T>(uninitialized: [count, count])
    let roots = try weights.withView { weights in
      let roots = try equation.solve(gaps: weights)
      let corrected = equation.correctedZ(z, gaps: weights)
      var row = [T](repeating: 0, count: count)
      var lengths = row
      for i in 0..<count {
        var sum: T = 0
        for j in 0..<count {
          let weight = corrected[j] / weights[i, j]
          row[merge.places[j]] = weight
          sum += weight * weight
        }
        lengths[i] = sum.squareRoot()
        for j in 0..<count { weights[i, j] = row[j] / lengths[i] }
      }
      merge.apply(weights, to: right.block(columns, columns), boundary: boundary)
      var gatheredPoles = row
      for (j, place) in merge.places.enumerated() { gatheredPoles[place] = poles[j] }
      let first = merge.places[0]
      for i in 0..<count {
        var sum: T = 0
        for j in 0..<count {
          let weight = j == first ? -1 : gatheredPoles[j] * (weights[i, j] * lengths[i])
          weights[i, j] = weight
          sum += weight * weight
        }
        weights.rowBlock(i..<i + 1).scale(by: 1 / sum.squareRoot())
      }
      merge.apply(weights, to: left.block(range, range), boundary: boundary)
      return roots
    }
    values.replaceSubrange(range, with: merge.values(roots.map { $0 * unit }, values))
  }

  private func turn(
    _ vectors: MatrixView<T>, _ i: Int, _ j: Int, _ c: T, _ s: T, _ columns: Range<Int>
  ) {
    let part = vectors.columnBlock(columns)
    unsafe T._routines.kernels.rotate(
      part.columns, c, s, part.base + i * part.rowStep, part.base + j * part.rowStep)
  }
}
