import SwiftletBLAS
import SwiftletCore

/// One singular or eigenvector of a half problem on its way into the whole one.
struct MergeEntry<T> {
  /// Where its elements can be other than 0.
  enum Support: Int { case upper, mixed, lower }

  /// Its row in the matrix of vectors.
  let row: Int
  var value: T
  var z: T
  var support: Support
}

/// Turns old vectors into new ones with a product that leaves out what is 0.
///
/// Rows of the old vectors are gathered by where they can be other than 0, as upper, mixed and
/// lower ones; then each half of the columns needs two of the three groups only.
///
/// - Source: LAPACK `?lasd3`, `?laed3`.
struct RankOneMerge<T: BLASElement> {
  private let entries: [MergeEntry<T>]
  /// Entry by place in the gathered order.
  private let gathered: [Int]
  /// Place in the gathered order by entry.
  let places: [Int]
  private let upperCount: Int
  private let lowerCount: Int
  private let firstRow: Int

  /// - Parameter firstRow: The row of the entries' matrix where the block of this merge begins.
  init(_ entries: [MergeEntry<T>], firstRow: Int) {
    self.entries = entries
    self.firstRow = firstRow
    gathered = entries.indices.sorted {
      (entries[$0].support.rawValue, $0) < (entries[$1].support.rawValue, $1)
    }
    var places = [Int](repeating: 0, count: entries.count)
    for (place, entry) in gathered.enumerated() { places[entry] = place }
    self.places = places
    upperCount = entries.count { $0.support == .upper }
    lowerCount = entries.count { $0.support == .lower }
  }

  /// vectors[rows of the entries] ← weights · vectors[gathered rows].
  ///
  /// - Parameters:
  ///   - weights: One row per new vector, one column per place.
  ///   - vectors: The block of this merge.
  ///   - boundary: The first column that upper vectors leave 0.
  func apply(_ weights: MatrixView<T>, to vectors: MatrixView<T>, boundary: Int) {
    let count = entries.count
    var old = Tensor<T>(uninitialized: [count, vectors.columns])
    var new = Tensor<T>(zeros: [count, vectors.columns])
    old.withView { old in
      for (place, entry) in gathered.enumerated() {
        let row = entries[entry].row - firstRow
        old.rowBlock(place..<place + 1).copy(vectors.rowBlock(row..<row + 1))
      }
      new.withView { new in
        let (upper, lower) = (0..<count - lowerCount, upperCount..<count)
        let (left, right) = (0..<boundary, boundary..<vectors.columns)
        new.columnBlock(left).add(1, weights.columnBlock(upper), old.block(upper, left))
        new.columnBlock(right).add(1, weights.columnBlock(lower), old.block(lower, right))
        for (index, entry) in entries.enumerated() {
          let row = entry.row - firstRow
          vectors.rowBlock(row..<row + 1).copy(new.rowBlock(index..<index + 1))
        }
      }
    }
  }
}

/// The indices `range`, in ascending order of `values`.
func ascending<T: Comparable>(_ range: Range<Int>, by values: [T]) -> [Int] {
  range.sorted { (values[$0], $0) < (values[$1], $1) }
}
