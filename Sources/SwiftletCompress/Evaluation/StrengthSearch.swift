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
    steps.first { $0.canVary }.map {
      $0.energy.map { "energy \($0)" } ?? "ratio \($0.ratio)"
    } ?? techniques
  }

  var techniques: String {
    steps.isEmpty ? "as it is" : steps.map(\.technique.rawValue).joined(separator: ", ")
  }
}

extension CompressionStep {
  /// Whether the step has a strength that goals can decide.
  var canVary: Bool { [.svd, .lowrank, .eigen, .prune].contains(technique) }

  /// The step at another strength.
  func with(ratio: Double) -> CompressionStep {
    var step = self
    (step.ratio, step.energy) = (ratio, nil)
    // Both what a layer reads and what it makes get fewer.
    if technique == .prune && !allocatesChannels { step.width = max(0.05, ratio.squareRoot()) }
    return step
  }
}
