// SPDX-License-Identifier: Apache-2.0

/// Bisection over recipes of decreasing strength: milder ones lose less and cost more.
struct StrengthSearch {
  /// The recipes, the strongest first.
  let ladder: [Recipe]
  /// Whether to find the mildest recipe that passes, rather than the strongest.
  let wantsMild: Bool
  private var open: Range<Int>
  private var middle: Int { (open.lowerBound + open.upperBound - 1) / 2 }

  init(ladder: [Recipe], wantsMild: Bool) {
    self.ladder = ladder
    self.wantsMild = wantsMild
    open = ladder.indices
  }

  /// The recipe to try next; `nil`: the search is finished.
  var next: Recipe? { open.isEmpty ? nil : ladder[middle] }

  /// Records whether ``next`` passed, and continues the search.
  mutating func note(passed: Bool) {
    open =
      passed == wantsMild ? middle + 1..<open.upperBound : open.lowerBound..<middle
  }
}

extension Recipe {
  /// The strength that distinguishes the recipe from others of the same ladder.
  var label: String {
    steps.lazy.compactMap(\.settings.strength).first ?? techniques
  }

  /// The names of the techniques, in order.
  var techniques: String {
    steps.isEmpty ? "unchanged" : steps.map(\.technique.rawValue).joined(separator: ", ")
  }
}
