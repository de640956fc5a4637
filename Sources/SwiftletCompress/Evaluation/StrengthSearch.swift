// SPDX-License-Identifier: Apache-2.0

/// Bisection over recipes of which milder ones lose less and cost more.
struct StrengthSearch {
  /// The strongest first.
  let ladder: [Recipe]
  /// Whether the mildest one that passes is wanted, not the strongest.
  let wantsMild: Bool
  private var open: Range<Int>
  private var middle: Int { (open.lowerBound + open.upperBound - 1) / 2 }

  init(ladder: [Recipe], wantsMild: Bool) {
    self.ladder = ladder
    self.wantsMild = wantsMild
    open = ladder.indices
  }

  /// What to try next.
  var next: Recipe? { open.isEmpty ? nil : ladder[middle] }

  mutating func note(passed: Bool) {
    open =
      passed == wantsMild ? middle + 1..<open.upperBound : open.lowerBound..<middle
  }
}

extension Recipe {
  /// What tells the recipe from others of the same ladder.
  var label: String {
    steps.lazy.compactMap(\.settings.strength).first ?? techniques
  }

  var techniques: String {
    steps.isEmpty ? "as it is" : steps.map(\.technique.rawValue).joined(separator: ", ")
  }
}
