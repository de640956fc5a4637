// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct NearestTests {
  @Test(arguments: [
    ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ratio", "ratio", 0),
    // Swapped neighbors are one edit, but are not edited again.
    ("ratoi", "ratio", 1), ("sdv", "svd", 1), ("abcd", "badc", 2), ("ca", "abc", 3),
    ("a", "b", 1), ("tuker", "tucker", 1),
  ])
  func editsAreCounted(a: String, b: String, edits: Int) {
    #expect(Nearest.edits(a, b) == edits)
    #expect(Nearest.edits(b, a) == edits)
  }

  @Test(arguments: [
    ("sdv", "svd"), ("Tuker", "tucker"), ("chanel", "channel"), ("magic", nil), ("", nil),
  ])
  func theNearestIsSuggested(typed: String, word: String?) {
    let words = ["svd", "tucker", "channel"]
    #expect(Nearest.word(to: typed, among: words) == word)
  }
}
