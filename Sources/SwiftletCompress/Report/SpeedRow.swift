// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

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

  /// The speedup: above 1, compression made the model faster.
  var ratio: Double { millisecondsBefore / millisecondsAfter }
}

/// The speeds in a report: one thread and all threads, single images and batches.
enum SpeedCells {
  static let batches = [1, 32]

  /// The numbers of threads to measure with: 1 and `most`.
  static func threads(upTo most: Int) -> [Int] { most > 1 ? [1, most] : [1] }

  /// Times all graphs in all cells, in alternation.
  ///
  /// - Returns: For each graph its results, by number of threads, then by batch size.
  static func measure(
    _ graphs: [Graph], threads: [Int], batches: [Int] = batches, seconds: Double,
    progress: Progress.Handler?
  ) throws -> [[BenchmarkResult]] {
    let candidates = try graphs.flatMap { graph in
      try threads.flatMap { count in
        let session = try Session(graph, threads: Threads(count: count))
        return try batches.map {
          try Benchmark.Candidate(session, batch: $0, threads: count)
        }
      }
    }
    let results = try Benchmark.run(candidates, seconds: seconds, progress: progress)
    let cells = threads.count * batches.count
    return graphs.indices.map { Array(results[$0 * cells..<($0 + 1) * cells]) }
  }
}
