// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

/// The speeds in a report: single samples and batches, on one thread and on all.
package struct SpeedCells {
  /// Batch sizes.
  let batches: [Int]
  /// Numbers of threads, ascending.
  let threads: [Int]
  /// The samples that the models take: one source for all, or one for each. Empty where random
  /// numbers serve.
  private let sources: [CalibrationSource]

  private init(_ batches: [Int], _ threads: [Int], _ sources: [CalibrationSource] = []) {
    (self.batches, self.threads, self.sources) = (batches, threads, sources)
  }

  /// Cells for models of images, which are timed on random numbers.
  ///
  /// - Parameters:
  ///   - threads: The largest number of threads; the other one is 1.
  ///   - batches: Batch sizes.
  init(upTo threads: Int, batches: [Int] = [1, largestBatch]) {
    self.init(batches, threads > 1 ? [1, threads] : [1])
  }

  /// Cells for models that are timed on the first samples: indices must exist, and masks matter.
  ///
  /// - Parameters:
  ///   - sources: The samples as the models take them: one source for all models, or one for each.
  ///   - threads: The largest number of threads; the other one is 1.
  ///   - batches: Desired batch sizes. If a model has a fixed batch, only that one is possible; no
  ///     batch is larger than the number of samples.
  init(_ sources: [CalibrationSource], upTo threads: Int, batches: [Int]) {
    let fixed = sources.lazy.compactMap(\.fixedBatch).first
    let most = sources.map(\.count).min() ?? 1
    var possible: [Int] = []
    for batch in batches.map({ fixed ?? min($0, most) }) where !possible.contains(batch) {
      possible.append(batch)
    }
    self.init(possible, threads > 1 ? [1, threads] : [1], sources)
  }

  /// Cells for models that are timed on the first samples: one, and as many as ``batch(upTo:of:)``
  /// has time for.
  ///
  /// - Throws: The errors of running `graph`, which is timed for this.
  init(
    _ samples: CalibrationSource, for graph: Graph, upTo threads: Int,
    progress: Progress.Handler?
  ) throws {
    let single = SpeedCells([samples], upTo: threads, batches: [1])
    guard samples.fixedBatch == nil else {
      self = single
      return
    }
    let one = try single.last.measure([graph], seconds: 0, progress: progress)[0][0].p50ms
    let most = Self.batch(upTo: min(Self.largestBatch, samples.count), of: one / 1e3)
    self.init([samples], upTo: threads, batches: [1, most])
  }

  /// Maximum batch size, and maximum seconds for a batch larger than 1.
  static let (largestBatch, longestRun) = (32, 0.3)

  /// The largest power of two that is at most `most`, whose batch takes no longer than
  /// ``longestRun``; at least 1.
  ///
  /// - Parameter seconds: The time of a single sample.
  package static func batch(upTo most: Int, of seconds: Double) -> Int {
    var batch = 1
    while batch * 2 <= most, Double(batch * 2) * seconds <= longestRun { batch *= 2 }
    return batch
  }

  /// Only the cell of the last batch on all threads.
  var last: SpeedCells {
    SpeedCells([batches[batches.count - 1]], [threads[threads.count - 1]], sources)
  }

  /// Only the cell of the first batch on all threads.
  var single: SpeedCells { SpeedCells([batches[0]], [threads[threads.count - 1]], sources) }

  /// Times all graphs in all cells, in alternation.
  ///
  /// - Returns: For each graph its results, by number of threads, then by batch size.
  func measure(
    _ graphs: [Graph], seconds: Double, progress: Progress.Handler?
  ) throws -> [[BenchmarkResult]] {
    let candidates = try graphs.enumerated().flatMap { index, graph in
      let source = sources.count == 1 ? sources[0] : sources.isEmpty ? nil : sources[index]
      return try threads.flatMap { count in
        let session = try Session(graph, threads: Threads(count: count))
        return try batches.map { batch in
          guard let source else {
            return try Benchmark.Candidate(session, batch: batch, threads: count)
          }
          return try Benchmark.Candidate(
            session, batch: batch, threads: count, inputs: source.inputs(0..<batch))
        }
      }
    }
    let results = try Benchmark.run(candidates, seconds: seconds, progress: progress)
    let cells = threads.count * batches.count
    return graphs.indices.map { Array(results[$0 * cells..<($0 + 1) * cells]) }
  }

  /// Median milliseconds of all graphs in all cells, timed in alternation, so that a busy machine
  /// slows all alike. If one of them appears slower than the first in the last cell, all are timed
  /// again for longer, and the better times count: other work only makes models slower.
  ///
  /// - Returns: For each graph its times, by number of threads, then by batch size.
  func milliseconds(of graphs: [Graph], progress: Progress.Handler?) throws -> [[Double]] {
    func times(_ seconds: Double) throws -> [[Double]] {
      try measure(graphs, seconds: seconds, progress: progress).map { $0.map(\.p50ms) }
    }
    let first = try times(0.3)
    let last = first.map { $0[$0.count - 1] }
    guard last.contains(where: { CompressionVerdict.isSlower(last[0] / $0) }) else { return first }
    return zip(first, try times(1)).map { zip($0, $1).map(min) }
  }

  /// The times of two models, as ``milliseconds(of:progress:)``.
  func rows(
    before: Graph, after: Graph, progress: Progress.Handler?
  ) throws -> [SpeedRow] {
    let times = try milliseconds(of: [before, after], progress: progress)
    let cells = threads.flatMap { count in batches.map { (threads: count, batch: $0) } }
    return cells.indices.map { index in
      SpeedRow(
        threads: cells[index].threads, batch: cells[index].batch,
        millisecondsBefore: times[0][index], millisecondsAfter: times[1][index])
    }
  }
}
