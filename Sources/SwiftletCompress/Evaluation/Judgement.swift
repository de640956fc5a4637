// SPDX-License-Identifier: Apache-2.0

public import SwiftletTraining

/// How good a model is by a metric, on given samples.
public struct Judgement: Sendable {
  /// The metric.
  public let metric: MetricLabel
  /// The score of the model.
  public let score: Double
  /// Number of samples.
  public let samples: Int
  /// Samples per second by the time of running the model, without reading data; the time of the
  /// original model does not count.
  public let samplesPerSecond: Double
  /// Top-1 and top-5 accuracy and loss, if the metric is an accuracy.
  public let evaluation: Evaluation?
  /// Whether each top-1 class is right, if the metric is an accuracy; else empty.
  public let hits: [Bool]
  /// The class that the model names for each sample (−1 if its scores are not numbers), if the
  /// metric is an accuracy; else empty.
  public let choices: [Int]
  let evidence: MetricResult.Evidence

  /// The score of each sample, for metrics that have such scores; NaN for samples that cannot be
  /// judged. `nil` for metrics of the whole data set, and of batches.
  public var scores: [Double]? {
    guard case .units(let units, let weights) = evidence, weights.isEmpty else { return nil }
    return units
  }

  /// A judgement by a scorer.
  package init(
    _ metric: MetricLabel, _ result: MetricResult, samples: Int, samplesPerSecond: Double
  ) {
    (self.metric, score, evidence) = (metric, result.score, result.evidence)
    (self.samples, self.samplesPerSecond) = (samples, samplesPerSecond)
    (evaluation, hits, choices) = (nil, [], [])
  }

  /// A judgement by accuracy.
  ///
  /// - Parameter isTop1: Whether the metric is top-1 accuracy, else top-5.
  init(
    _ metric: MetricLabel,
    _ found: (evaluation: Evaluation, hits: [Bool], choices: [Int], topFive: [Bool]), isTop1: Bool
  ) {
    let right = isTop1 ? found.hits : found.topFive
    self.metric = metric
    score = isTop1 ? found.evaluation.top1 : found.evaluation.top5
    (samples, samplesPerSecond) = (found.evaluation.images, found.evaluation.imagesPerSecond)
    evaluation = found.evaluation
    (hits, choices) = (found.hits, found.choices)
    evidence = .units(right.map { $0 ? 1 : 0 }, weights: [])
  }

  /// The score, unless it is top-1 accuracy.
  var otherScore: Double? { metric == Metric.top1.label ? nil : score }

  /// The largest drop from this score that does not call a model inaccurate: 2 points, or 2 % of a
  /// score that is not a fraction.
  var acceptableDrop: Double {
    metric.isFraction
      ? CompressionVerdict.mostDrop : CompressionVerdict.mostDrop / 100 * abs(score)
  }
}

extension Judgement: Encodable {
  private enum CodingKeys: String, CodingKey {
    case metric, score, higherIsBetter, samples, samplesPerSecond, top1, top5, loss
  }

  /// The metric's name, the score and the number of samples; of accuracies also top-1, top-5 and
  /// loss.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(metric.name, forKey: .metric)
    try container.encode(score, forKey: .score)
    try container.encode(metric.higherIsBetter, forKey: .higherIsBetter)
    try container.encode(samples, forKey: .samples)
    try container.encode(samplesPerSecond, forKey: .samplesPerSecond)
    try container.encodeIfPresent(evaluation?.top1, forKey: .top1)
    try container.encodeIfPresent(evaluation?.top5, forKey: .top5)
    try container.encodeIfPresent(evaluation?.loss, forKey: .loss)
  }
}
