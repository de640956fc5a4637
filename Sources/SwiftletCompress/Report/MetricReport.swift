// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletGraph

/// What a metric says of a model before and after compression.
public struct MetricReport: Sendable, Codable, Equatable {
  /// The metric.
  public let metric: MetricLabel
  /// The score of the original model.
  public let before: Double
  /// The score of the compressed model.
  public let after: Double
  /// Number of samples.
  public let samples: Int
  /// A paired test of the difference.
  public let paired: PairedTest
  /// Confidence level of the bound on the drop, as a fraction; `nil` for 95 %.
  public let confidence: Double?

  /// Compares two judgements by the same judge.
  ///
  /// - Parameter confidence: Level of the bound on the drop; `nil`: 95 %.
  init(comparing before: Judgement, _ after: Judgement, confidence: Double?) {
    metric = before.metric
    (self.before, self.after) = (before.score, after.score)
    samples = after.samples
    paired = PairedTest(before, after)
    self.confidence = confidence == PairedTest.confidence ? nil : confidence
  }

  /// As ``init(comparing:_:confidence:)``; `nil` for top-1 accuracy, which labelled reports have
  /// anyway.
  init?(_ before: Judgement, _ after: Judgement, confidence: Double?) {
    guard before.metric != Metric.top1.label else { return nil }
    self.init(comparing: before, after, confidence: confidence)
  }

  /// The first of several reports if all are by one metric; else `nil`.
  package static func shared(by reports: [MetricReport?]) -> MetricReport? {
    guard let first = reports.first ?? nil,
      reports.allSatisfy({ $0?.metric == first.metric })
    else { return nil }
    return first
  }

  /// A summary of the drop with its confidence bound.
  public var drops: String { paired.summary(confidence: confidence ?? PairedTest.confidence) }

  /// `cosine 0.99871, from 1`.
  public var scores: String {
    "\(metric.name) \(metric.text(ofScore: after)), from \(metric.text(ofScore: before))"
  }
}

extension Judge {
  /// Compares all models with the first one by a metric.
  ///
  /// - Returns: For each model; the first one is compared with itself.
  /// - Precondition: There is at least one model.
  /// - Throws: The errors of ``judge(_:)``, with the path of the model.
  static func compare(
    _ models: [(path: String, graph: Graph)], by metric: Metric, on data: ImageDataset,
    fixed: [String: FixedInput] = [:], outputs: [String], threads: Threads,
    progress: Progress.Handler?
  ) throws -> [MetricReport] {
    let judge = try Judge(
      metric, on: data, fixed: fixed, original: models[0].graph, like: models[0].graph,
      outputs: outputs, options: Options(threads: threads, progress: progress))
    let before = try locating(models[0].path) { try judge.judgeOriginal() }
    return try models.enumerated().map { index, model in
      let after = try index == 0 ? before : locating(model.path) { try judge.judge(model.graph) }
      return MetricReport(comparing: before, after, confidence: nil)
    }
  }
}
