// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Eigenvalues and vectors of a symmetric tridiagonal matrix by divide and conquer: a rank-one
/// change splits it in two, and a secular equation merges the halves.
///
/// - Source: Cuppen (1981); Gu & Eisenstat (1995); LAPACK `?stedc`, `?laed0` to `?laed4`.
struct TridiagonalDivide<T: BLASElement> {
  private var d: [T]
  private let e: [T]
  /// The vectors, as rows; they start as zeros.
  private let vectors: MatrixView<T>
  /// Values up to this magnitude count as 0, regardless of their neighbours: the rounding error of
  /// the whole matrix.
  private let negligible: T
  private static var leafSize: Int { 24 }

  /// - Parameter vectors: An n×n matrix of zeros, whose rows become the vectors.
  /// - Returns: The eigenvalues, unordered: value i belongs to row i.
  /// - Throws: `numerical` if an iteration stalls.
  static func solve(
    diagonal: [T], offDiagonal: [T], vectors: MatrixView<T>
  ) throws -> [T] {
    var solver = TridiagonalDivide(
      d: diagonal, e: offDiagonal, vectors: vectors,
      negligible: T.negligible(diagonal, offDiagonal))
    try solver.solve(0..<diagonal.count)
    return solver.d
  }

  private mutating func solve(_ range: Range<Int>) throws {
    if range.count <= Self.leafSize {
      let block = vectors.block(range, range)
      block.setIdentity()
      let last = max(range.lowerBound, range.upperBound - 1)
      let solved = try TridiagonalQL.solve(
        diagonal: Array(d[range]), offDiagonal: Array(e[range.lowerBound..<last]), vectors: block,
        negligible: negligible)
      d.replaceSubrange(range, with: solved)
      return
    }
    let middle = range.lowerBound + range.count / 2
    let coupling = abs(e[middle - 1]) > negligible ? e[middle - 1] : 0
    d[middle - 1] -= abs(coupling)
    d[middle] -= abs(coupling)
    try solve(range.lowerBound..<middle)
    try solve(middle..<range.upperBound)
    guard coupling != 0 else { return }
    try merge(range, middle, coupling)
  }

  private mutating func merge(_ range: Range<Int>, _ middle: Int, _ coupling: T) throws {
    let root = abs(coupling).squareRoot()
    let lowerRoot = coupling < 0 ? -root : root
    let scale = range.reduce(abs(coupling)) { max($0, abs(d[$1])) }
    let tolerance = max(4 * T.ulpOfOne * scale, negligible)
    let length = (2 * abs(coupling)).squareRoot()

    var entries: [MergeEntry<T>] = []
    for row in ascending(range, by: d) {
      let isUpper = row < middle
      var entry = MergeEntry(
        row: row, value: d[row],
        z: isUpper ? root * vectors[row, middle - 1] : lowerRoot * vectors[row, middle],
        support: isUpper ? .upper : .lower)
      guard abs(entry.z) * length > tolerance else { continue }
      if let last = entries.last {
        let size = T.length(last.z, entry.z)
        let (c, s) = (entry.z / size, -last.z / size)
        let gap = entry.value - last.value
        if abs(gap * c * s) <= tolerance {
          // Two values so close that a rotation deflates one of them.
          let part = vectors.columnBlock(range)
          unsafe T._routines.kernels.rotate(
            part.columns, c, s, part.base + last.row * part.rowStep,
            part.base + row * part.rowStep)
          d[last.row] = last.value + gap * (s * s)
          entry.value = last.value + gap * (c * c)
          entry.z = size
          if last.support != entry.support { entry.support = .mixed }
          entries.removeLast()
        }
      }
      d[row] = entry.value
      entries.append(entry)
    }
    guard !entries.isEmpty else { return }
    try rotate(entries, range, middle, unit: .powerOfFour(near: scale))
  }

  /// Solves the secular equation of the entries and computes their vectors.
  ///
  /// - Parameter unit: The unit of measurement, chosen so that squares stay in range.
  private mutating func rotate(
    _ entries: [MergeEntry<T>], _ range: Range<Int>, _ middle: Int, unit: T
  ) throws {
    let count = entries.count
    let root = unit.squareRoot()
    let z = entries.map { $0.z / root }
    let equation = SecularEquation(
      poles: entries.map { $0.value / unit }, z: z, isSquared: false)
    let merge = RankOneMerge(entries, rows: range)
    // Gaps, then weights, in one matrix.
    var weights = Tensor<T>(uninitialized: [count, count])
    let roots = try weights.withView { weights in
      let roots = try equation.solve(gaps: weights)
      let corrected = equation.correctedZ(z, gaps: weights)
      var row = [T](repeating: 0, count: count)
      for i in 0..<count {
        var sum: T = 0
        for j in 0..<count {
          let weight = corrected[j] / weights[i, j]
          row[merge.places[j]] = weight
          sum += weight * weight
        }
        let length = sum.squareRoot()
        for j in 0..<count { weights[i, j] = row[j] / length }
      }
      merge.apply(
        weights, to: vectors.block(range, range), boundary: middle - range.lowerBound)
      return roots
    }
    d.replaceSubrange(range, with: merge.values(roots.map { $0 * unit }, d))
  }
}
