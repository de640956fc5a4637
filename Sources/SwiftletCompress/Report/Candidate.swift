// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

/// A model that a compression has tried, whether or not it was taken.
public struct Candidate: Sendable, Codable, Equatable {
  /// What distinguishes it: `ratio 0.3`.
  public let label: String
  /// What was not looked at, because the candidate failed before, is missing.
  public let top1: Double?
  /// Of a batch of 32 on all threads.
  public let milliseconds: Double?
  /// Bytes of the file.
  public let bytes: Int
  public let chosen: Bool
  /// Why it was not taken.
  public let reason: String?

  public init(
    label: String, top1: Double?, milliseconds: Double?, bytes: Int, chosen: Bool,
    reason: String? = nil
  ) {
    self.label = label
    self.top1 = top1
    self.milliseconds = milliseconds
    self.bytes = bytes
    self.chosen = chosen
    self.reason = reason
  }
}

/// Keeps account of what a compression tries.
struct CandidateLog {
  private struct Entry {
    let label: String
    let top1, relativeTime: Double?
    let bytes: Int
    let reason: String?
  }

  private var entries: [Entry] = []

  /// Notes a model that is not taken.
  ///
  /// - Parameter relativeTime: Its time as a multiple of the original's.
  mutating func add(
    _ label: String, top1: Double? = nil, relativeTime: Double? = nil, bytes: Int, reason: String
  ) {
    entries.append(
      Entry(label: label, top1: top1, relativeTime: relativeTime, bytes: bytes, reason: reason))
  }

  /// The candidates, the one that was taken last.
  ///
  /// - Parameter milliseconds: What the original takes for a batch of 32 on all threads: the
  ///   machine may have been slower or faster while a candidate was timed, beside the original.
  func candidates(milliseconds: Double, chosen: Candidate) -> [Candidate] {
    entries.map { entry in
      Candidate(
        label: entry.label, top1: entry.top1,
        milliseconds: entry.relativeTime.map { $0 * milliseconds }, bytes: entry.bytes,
        chosen: false, reason: entry.reason)
    } + [chosen]
  }

  /// The time of a batch of 32 as a multiple of the original's, both in turns.
  static func relativeTime(
    of graph: Graph, to original: Graph, threads: Threads, progress: Progress.Handler?
  ) throws -> Double {
    let results = try SpeedCells.measure(
      [original, graph], threads: [threads.count], batches: [32], seconds: 0.2, progress: progress)
    return results[1][0].p50ms / results[0][0].p50ms
  }
}

/// Points of which more is better in one respect and less in the other.
package enum ParetoFront {
  /// The indices of the points that no other one beats in both respects, by ascending cost.
  package static func indices(_ points: [(cost: Double, gain: Double)]) -> [Int] {
    let order = points.indices.filter {
      points[$0].cost.isFinite && points[$0].gain.isFinite
    }.sorted {
      (points[$0].cost, -points[$0].gain, $0) < (points[$1].cost, -points[$1].gain, $1)
    }
    var best = -Double.infinity
    return order.filter { index in
      guard points[index].gain > best else { return false }
      best = points[index].gain
      return true
    }
  }
}
