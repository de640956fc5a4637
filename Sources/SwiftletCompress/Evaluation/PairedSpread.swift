// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// How a difference between the scores of two models varies with the samples.
struct PairedSpread {
  /// Number of samples or batches that the first model, and the second one, judge better.
  private(set) var lost = 0
  private(set) var won = 0
  /// Standard error of the difference of scores; `nil` if it cannot be known.
  private(set) var error: Double?
  /// Degrees of freedom of the error; `nil`: as many as matter.
  private(set) var degrees: Int?

  /// Number of bootstrap resamples; fewer if there are very many samples.
  private static let resamples = 1000
  /// Above this number of degrees, a t distribution is a normal one.
  private static let manyDegrees = 100_000

  /// - Parameters:
  ///   - first: The judgement of one model.
  ///   - second: The judgement of another, by the same judge.
  init(_ first: Judgement, _ second: Judgement) {
    switch (first.evidence, second.evidence) {
    case (.units(let a, let weights), .units(let b, _)):
      compare(a, b, weights, first.metric)
    case (.overlaps(let a), .overlaps(let b)): resample(a, b)
    case (.halves(let a), .halves(let b)):
      halve(a, b, difference: first.score - second.score, samples: first.samples)
    default: break
    }
  }

  private mutating func compare(
    _ first: [Double], _ second: [Double], _ weights: [Double], _ label: MetricLabel
  ) {
    guard first.count == second.count else { return }
    let kept = first.indices.filter { !first[$0].isNaN && !second[$0].isNaN }
    let pairs = kept.map { (first[$0] - second[$0], weights.isEmpty ? 1 : weights[$0]) }
    let sign: Double = label.higherIsBetter ? 1 : -1
    lost = pairs.count { sign * $0.0 > 0 }
    won = pairs.count { sign * $0.0 < 0 }
    let total = pairs.reduce(0) { $0 + $1.1 }
    let mean = pairs.reduce(0) { $0 + $1.0 * $1.1 } / total
    guard pairs.count > 1, mean.isFinite else { return }
    let squares = pairs.reduce(0) { sum, pair in
      let deviation = pair.1 * (pair.0 - mean)
      return sum + deviation * deviation
    }
    let count = Double(pairs.count)
    error = (count / (count - 1) * squares).squareRoot() / total
    degrees = pairs.count - 1 > Self.manyDegrees ? nil : pairs.count - 1
  }

  /// By samples drawn with replacement, the same for both models.
  private mutating func resample(_ first: ClassOverlaps, _ second: ClassOverlaps) {
    let samples = first.samples.count
    guard samples > 1, samples == second.samples.count else { return }
    let runs = max(200, min(Self.resamples, 20_000_000 / samples))
    let differences = (0..<runs).compactMap { run -> Double? in
      var generator = RandomGenerator(seed: 0, stream: UInt64(run))
      var counts = [Int](repeating: 0, count: samples)
      for _ in 0..<samples { counts[generator.below(samples)] += 1 }
      let difference = first.mean(counts: counts) - second.mean(counts: counts)
      // A resample in which nothing counts has no score.
      return difference.isNaN ? nil : difference
    }
    guard differences.count > 1 else { return }
    let mean = differences.reduce(0, +) / Double(differences.count)
    let squares = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    error = (squares / Double(differences.count - 1)).squareRoot()
  }

  /// By random halves, whose difference deviates as much from that of all samples as the latter
  /// deviates from the truth.
  private mutating func halve(
    _ first: [Double], _ second: [Double], difference: Double, samples: Int
  ) {
    guard first.count == second.count, !first.isEmpty, samples > 1 else { return }
    let squares = zip(first, second).reduce(0) { sum, pair in
      let deviation = pair.0 - pair.1 - difference
      return sum + deviation * deviation
    }
    // Of an odd number, a half is a little less.
    let half = Double(samples / 2)
    error = (squares / Double(first.count) * half / (Double(samples) - half)).squareRoot()
    degrees = first.count
  }
}
