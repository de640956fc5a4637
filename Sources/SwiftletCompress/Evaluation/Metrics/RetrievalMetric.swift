// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg

extension Metric {
  /// How well embeddings keep the order in which others are found, −1 to 1: for each sample, the
  /// other samples are ranked by the cosine similarity of their embeddings; the score is the rank
  /// correlation of this order with the original's, Spearman's ρ, averaged over the samples.
  ///
  /// Of more than 1000 samples, 1000 at equal distances are used, fewer if embeddings have more
  /// than 33 000 elements: memory and time do not grow any further.
  ///
  /// - Source: Spearman 1904; equal similarities share the mean of their ranks.
  public static let retrieval = Metric(
    MetricLabel(name: "retrieval"), .original,
    .scorer { RetrievalScorer(samples: $0.samples) }, ignoresLabels: true)
}

private struct RetrievalScorer: MetricScorer {
  private static let limit = 1000
  /// Maximum number of elements of all embeddings of a model.
  private static let elementLimit = 1 << 25
  let samples: Int
  /// Number of samples that are compared, and number of those that have come.
  private var (chosen, seen) = (0, 0)
  private var (width, ownWidth) = (0, 0)
  private var own: [Double] = []
  private var original: [Double] = []

  init(samples: Int) { self.samples = samples }

  mutating func add(_ batch: MetricBatch) throws {
    let name = try batch.onlyOutput(for: "retrieval", "embeddings") { $0.dtype.isFloat }
    let (rows, originals) = (try batch.rows(name), try batch.originalRows(name))
    if chosen == 0 {
      (width, ownWidth) = (originals.width, rows.width)
      chosen = min(samples, Self.limit, Self.elementLimit / max(1, width))
      guard chosen > 2 else {
        throw SwiftletError(
          samples > 2 ? .unsupported : .badInput,
          samples > 2
            ? "embeddings of \(width) elements are too large to compare many of them"
            : "\(samples) samples have no order in which they are found",
          at: "metric 'retrieval'",
          fix: samples > 2 ? "use the metric cosine" : "give at least 3 samples, better 100")
      }
    }
    guard rows.width == ownWidth, originals.width == width else {
      throw SwiftletError(
        .unsupported, "embeddings of different lengths cannot be compared",
        at: "output '\(name)', metric 'retrieval'", fix: "choose another output or metric")
    }
    for row in 0..<batch.samples.count {
      seen += 1
      guard isChosen(seen - 1) else { continue }
      own.append(contentsOf: direction(rows.row(row)))
      original.append(contentsOf: direction(originals.row(row)))
    }
  }

  /// Whether a sample is among those at equal distances.
  private func isChosen(_ sample: Int) -> Bool {
    sample == 0 || sample * chosen / samples != (sample - 1) * chosen / samples
  }

  /// The vector scaled to length 1; NaN if an element is not finite, and zeros stay zeros.
  private func direction(_ row: borrowing Span<Double>) -> [Double] {
    guard row.isFinite else { return [Double](repeating: .nan, count: row.count) }
    var largest = 0.0
    for i in row.indices { largest = max(largest, abs(row[i])) }
    guard largest > 0 else { return [Double](repeating: 0, count: row.count) }
    var sum = 0.0
    for i in row.indices { sum += (row[i] / largest) * (row[i] / largest) }
    let scale = 1 / sum.squareRoot()
    var result = [Double](repeating: 0, count: row.count)
    for i in row.indices { result[i] = row[i] / largest * scale }
    return result
  }

  mutating func finish() throws -> MetricResult {
    let count = width > 0 ? original.count / width : 0
    let before = similarities(original, count, width)
    let after = similarities(own, count, ownWidth)
    // A sample whose original is not finite can neither ask nor be found.
    let known = (0..<count).filter { !original[$0 * width].isNaN }
    guard known.count > 2 else {
      throw SwiftletError(
        .numerical,
        "the original's embeddings are NaN or infinite in all but \(known.count) samples",
        at: "metric 'retrieval'", fix: "judge on other samples")
    }
    var units = [Double](repeating: .nan, count: count)
    for query in known {
      guard !own[query * ownWidth].isNaN else {
        units[query] = -1
        continue
      }
      let others = known.filter { $0 != query }
      units[query] = RankCorrelation.spearman(
        others.map { before[query * count + $0] },
        // Samples without an embedding are found last.
        others.map { after[query * count + $0].isNaN ? -2 : after[query * count + $0] })
    }
    return MetricResult(units: units)
  }

  /// The products of all pairs of rows.
  private func similarities(_ rows: [Double], _ count: Int, _ width: Int) -> [Double] {
    guard width > 0 else { return [Double](repeating: 0, count: count * count) }
    let matrix = Tensor(Shape([count, width]), rows)
    return matrixProduct(matrix, matrix, transposeB: true).elements
  }
}

/// Correlation of the ranks of paired numbers.
package enum RankCorrelation {
  /// Spearman's ρ: the correlation of ranks, where equal numbers share the mean of their ranks. If
  /// all numbers of one side are equal, 0; of both sides, 1.
  ///
  /// - Precondition: As many numbers on both sides, none of them NaN.
  package static func spearman(_ first: [Double], _ second: [Double]) -> Double {
    precondition(first.count == second.count, "numbers must be paired")
    let (a, b) = (ranks(first), ranks(second))
    let mean = Double(a.count + 1) / 2
    var (product, own, theirs) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      product += (x - mean) * (y - mean)
      own += (x - mean) * (x - mean)
      theirs += (y - mean) * (y - mean)
    }
    if own == 0 || theirs == 0 { return own == theirs ? 1 : 0 }
    return product / (own * theirs).squareRoot()
  }

  /// Ranks from 1; equal numbers share the mean of theirs.
  package static func ranks(_ numbers: [Double]) -> [Double] {
    let order = numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) }
    var ranks = [Double](repeating: 0, count: numbers.count)
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, numbers[order[end]] == numbers[order[start]] { end += 1 }
      for place in start..<end { ranks[order[place]] = Double(start + end + 1) / 2 }
      start = end
    }
    return ranks
  }
}
