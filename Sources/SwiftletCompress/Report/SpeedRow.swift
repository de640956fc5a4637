// SPDX-License-Identifier: Apache-2.0

/// The time for a batch with some threads, before and after compression.
public struct SpeedRow: Sendable, Codable, Equatable {
  /// Number of threads.
  public let threads: Int
  /// Batch size.
  public let batch: Int
  /// Median milliseconds per batch of the original model, measured in alternation.
  public let millisecondsBefore: Double
  /// Median milliseconds per batch of the compressed model, likewise.
  public let millisecondsAfter: Double

  init(threads: Int, batch: Int, millisecondsBefore: Double, millisecondsAfter: Double) {
    self.threads = threads
    self.batch = batch
    self.millisecondsBefore = millisecondsBefore
    self.millisecondsAfter = millisecondsAfter
  }

  /// `batch 32, 2 threads`.
  var cell: String { "batch \(batch), \(threads) thread\(threads == 1 ? "" : "s")" }

  /// The speedup: above 1, compression made the model faster.
  var ratio: Double { millisecondsBefore / millisecondsAfter }
}
