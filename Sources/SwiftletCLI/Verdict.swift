// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// Judges the test ratios of `svd` and `eig`.
enum Verdict {
  /// A test ratio as text, marked if it exceeds the limit.
  static func text(_ ratio: Double) -> String {
    fixed(ratio, 4) + (ratio <= TestRatios.limit ? "" : "!")
  }

  /// An explanation of the mark; `nil` if no ratio is marked.
  static func legend(_ ratios: [Double?]) -> String? {
    ratios.allSatisfy { $0 ?? 0 <= TestRatios.limit }
      ? nil : "! above 30: more than rounding errors explain"
  }

  /// - Throws: `numerical` if a ratio exceeds the limit.
  static func check(_ ratios: [Double?], of method: String) throws {
    guard let worst = ratios.compactMap({ $0 }).first(where: { !($0 <= TestRatios.limit) }) else {
      return
    }
    throw SwiftletError(
      .numerical, "a test ratio of \(scientific(worst)) by \(method) exceeds 30",
      mend: "the factors are inaccurate; use another --method")
  }

  /// Checks a comparison after its results were printed.
  ///
  /// - Throws: `numerical` for the first method that failed or whose ratios exceed the limit.
  static func check(
    _ rows: [(method: String, failure: String?, ratios: [Double?])]
  ) throws {
    for row in rows {
      if let failure = row.failure {
        throw SwiftletError(.numerical, "\(row.method) failed: \(failure)")
      }
      try check(row.ratios, of: row.method)
    }
  }
}
