// SPDX-License-Identifier: Apache-2.0

/// Suggests the word that was probably meant.
package enum Nearest {
  /// The word with the fewest edits, if these are at most a third of its letters; else `nil`.
  package static func word(to typed: String, among words: some Sequence<String>) -> String? {
    let found = words.map { (word: $0, edits: edits(typed.lowercased(), $0.lowercased())) }
      .min { $0.edits < $1.edits }
    guard let found, found.edits <= max(1, found.word.count / 3) else { return nil }
    return found.word
  }

  /// The optimal string alignment distance (Damerau 1964): the least number of letters to insert,
  /// delete, replace or swap with the next one, where no letter is edited twice. O(m·n) time, O(n)
  /// memory.
  package static func edits(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var (before, last, row) = ([Int](), [Int](), Array(0...b.count))
    for i in a.indices {
      (before, last) = (last, row)
      row[0] = i + 1
      for j in b.indices {
        row[j + 1] = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          row[j + 1] = min(row[j + 1], before[j - 1] + 1)
        }
      }
    }
    return row[b.count]
  }
}
