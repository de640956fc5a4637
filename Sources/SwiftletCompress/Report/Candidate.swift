// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// A model that a compression tried, whether or not it was chosen.
public struct Candidate: Sendable, Codable, Equatable {
  /// What distinguishes it from the others, for example `ratio 0.3`.
  public let label: String
  /// Top-1 accuracy, 0 to 1; `nil` if the candidate was rejected before it was evaluated.
  public let top1: Double?
  /// Milliseconds for a batch of 32 on all threads; `nil` if it was rejected before it was timed.
  public let milliseconds: Double?
  /// Size of the ONNX file in bytes.
  public let bytes: Int
  /// Whether it is the result.
  public let chosen: Bool
  /// Why it was rejected.
  public let reason: String?
  /// The score by the metric that models were judged by; `nil` for top-1 accuracy, or if the
  /// candidate was rejected before it was judged.
  public let score: Double?

  /// Creates a candidate from its measurements.
  public init(
    label: String, top1: Double?, milliseconds: Double?, bytes: Int, chosen: Bool,
    reason: String? = nil, score: Double? = nil
  ) {
    self.label = label
    self.top1 = top1
    self.milliseconds = milliseconds
    self.bytes = bytes
    self.chosen = chosen
    self.reason = reason
    self.score = score
  }
}

/// Records the models that a compression tries.
struct CandidateLog {
  /// A rejected model.
  private struct Entry {
    let label: String
    let top1, score, relativeTime: Double?
    let bytes: Int
    let reason: String?
  }

  private var entries: [Entry] = []

  /// Records a rejected model.
  ///
  /// - Parameter relativeTime: Its time divided by the original's.
  mutating func add(
    _ label: String, _ judgement: Judgement? = nil, relativeTime: Double? = nil, bytes: Int,
    reason: String
  ) {
    entries.append(
      Entry(
        label: label, top1: judgement?.evaluation?.top1, score: judgement?.otherScore,
        relativeTime: relativeTime, bytes: bytes, reason: reason))
  }

  /// All candidates, with the chosen one last.
  ///
  /// - Parameter milliseconds: The original's time for a batch of 32 on all threads, which relative
  ///   times are scaled by: the machine may have been slower or faster while a candidate was timed
  ///   next to the original.
  func candidates(milliseconds: Double, chosen: Candidate) -> [Candidate] {
    entries.map { entry in
      Candidate(
        label: entry.label, top1: entry.top1,
        milliseconds: entry.relativeTime.map { $0 * milliseconds }, bytes: entry.bytes,
        chosen: false, reason: entry.reason, score: entry.score)
    } + [chosen]
  }

  /// The time for a batch of 32 divided by the original's, measured in alternation.
  static func relativeTime(
    of graph: Graph, to original: Graph, threads: Threads, progress: Progress.Handler?
  ) throws -> Double {
    let results = try SpeedCells(upTo: threads.count).last.measure(
      [original, graph], seconds: 0.2, progress: progress)
    return results[1][0].p50ms / results[0][0].p50ms
  }
}

/// The Pareto front of points with a cost and a gain.
package enum ParetoFront {
  /// The indices of the points that no other point beats in both respects, by ascending cost.
  /// Points that are not finite are left out.
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
