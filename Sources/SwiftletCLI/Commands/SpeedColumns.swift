// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// The last columns of a table that compares models: milliseconds, and the ratio to the first one.
struct SpeedColumns {
  private let first: [ComparisonReport.Speed]

  /// - Parameter first: The speeds of the first model.
  init(_ first: [ComparisonReport.Speed]) { self.first = first }

  var header: [String] { first.map { "b\($0.batch) t\($0.threads)" } + ["ratio"] }

  /// - Parameter speeds: Of a model, for as many batch sizes and threads.
  func row(_ speeds: [ComparisonReport.Speed]) -> [String] {
    let last = first.count - 1
    return speeds.map { fixed($0.milliseconds, 3) }
      + [fixed(first[last].milliseconds / speeds[last].milliseconds, 2)]
  }

  static let legend =
    "milliseconds per batch, by batch size (b) and threads (t), measured in alternation; the ratio "
    + "is that of the last column"
}
