// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// A singular vector or eigenvector of a half problem that is merged into the whole.
struct MergeEntry<T> {
  /// Where its elements can be nonzero.
  enum Support: Int { case upper, mixed, lower }

  /// Its row in the matrix of vectors.
  let row: Int
  var value: T
  var z: T
  var support: Support
}

/// Computes the new vectors from the old ones with a product that skips zeros.
///
/// Rows of the old vectors are grouped by where they can be nonzero, as upper, mixed and lower;
/// each half of the columns then needs only two of the three groups. New vectors take the first
/// rows of the block, deflated ones the rows after them.
///
/// - Source: LAPACK `?lasd3`, `?laed3`.
struct RankOneMerge<T: BLASElement> {
  private let rows: Range<Int>
  /// Rows in grouped order: the entries' by support, then the deflated ones.
  private let gathered: [Int]
  /// The position of each entry in grouped order.
  let places: [Int]
  private let count: Int
  private let upperCount: Int
  private let lowerCount: Int

  /// - Parameter rows: The rows of the whole problem.
  init(_ entries: [MergeEntry<T>], rows: Range<Int>) {
    self.rows = rows
    count = entries.count
    let order = entries.indices.sorted {
      (entries[$0].support.rawValue, $0) < (entries[$1].support.rawValue, $1)
    }
    var places = [Int](repeating: 0, count: count)
    for (place, entry) in order.enumerated() { places[entry] = place }
    self.places = places
    let kept = Set(entries.map(\.row))
    gathered = order.map { entries[$0].row } + rows.filter { !kept.contains($0) }
    upperCount = entries.count { $0.support == .upper }
    lowerCount = entries.count { $0.support == .lower }
  }

  /// The values of the rows in their new order: the new vectors, then the deflated ones.
  func values(_ new: [T], _ old: [T]) -> [T] { new + gathered[count...].map { old[$0] } }

  /// Replaces the vectors.
  ///
  /// - Parameters:
  ///   - weights: One row per new vector, one column per position.
  ///   - vectors: The block of the whole problem; rows after ``rows`` are unchanged.
  ///   - boundary: The first column in which upper vectors are 0.
  func apply(_ weights: MatrixView<T>, to vectors: MatrixView<T>, boundary: Int) {
    var old = Tensor<T>(uninitialized: [rows.count, vectors.columns])
    old.withView { old in
      for (place, row) in gathered.enumerated() {
        let row = row - rows.lowerBound
        old.rowBlock(place..<place + 1).copy(vectors.rowBlock(row..<row + 1))
      }
      let new = vectors.rowBlock(0..<count)
      new.fill(with: 0)
      let (upper, lower) = (0..<count - lowerCount, upperCount..<count)
      let (left, right) = (0..<boundary, boundary..<vectors.columns)
      new.columnBlock(left).add(1, weights.columnBlock(upper), old.block(upper, left))
      new.columnBlock(right).add(1, weights.columnBlock(lower), old.block(lower, right))
      vectors.rowBlock(count..<rows.count).copy(old.rowBlock(count..<rows.count))
    }
  }
}

/// The indices `range`, in ascending order of `values`.
func ascending<T: Comparable>(_ range: Range<Int>, by values: [T]) -> [Int] {
  range.sorted { (values[$0], $0) < (values[$1], $1) }
}
