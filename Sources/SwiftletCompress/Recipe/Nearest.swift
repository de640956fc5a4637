// SPDX-License-Identifier: Apache-2.0

/// Suggests the word that was probably meant.
enum Nearest {
  /// The word with the fewest edits, if these are at most a third of its letters; else `nil`.
  static func word(to typed: String, among words: some Sequence<String>) -> String? {
    let found = words.map { (word: $0, edits: edits(typed.lowercased(), $0.lowercased())) }
      .min { $0.edits < $1.edits }
    guard let found, found.edits <= max(1, found.word.count / 3) else { return nil }
    return found.word
  }

  /// The edit distance (Levenshtein 1966): the least number of letters to insert, delete or
  /// replace. O(m·n) time, O(n) memory.
  static func edits(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in b.enumerated() {
        let above = row[j + 1]
        row[j + 1] = min(above + 1, row[j] + 1, diagonal + (letter == other ? 0 : 1))
        diagonal = above
      }
    }
    return row[b.count]
  }
}
