// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

/// What one batch takes on some threads, before and after compression.
public struct SpeedRow: Sendable, Codable, Equatable {
  public let threads: Int
  public let batch: Int
  /// Medians of a run of the whole batch, measured in turns.
  public let millisecondsBefore: Double
  public let millisecondsAfter: Double

  init(threads: Int, batch: Int, millisecondsBefore: Double, millisecondsAfter: Double) {
    self.threads = threads
    self.batch = batch
    self.millisecondsBefore = millisecondsBefore
    self.millisecondsAfter = millisecondsAfter
  }

  /// How many times as fast.
  var ratio: Double { millisecondsBefore / millisecondsAfter }
}

/// Which speeds a report states: one thread and all of them, single images and batches.
enum SpeedCells {
  static let batches = [1, 32]

  /// The numbers of threads up to `most`.
  static func threads(upTo most: Int) -> [Int] { most > 1 ? [1, most] : [1] }

  /// Times all graphs in every cell, all in turns.
  ///
  /// - Returns: For each graph its results, those of one number of threads after the other.
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
