// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph
import SwiftletTraining

/// What a metric is called, and how its scores are read.
public struct MetricLabel: Sendable, Codable, Hashable {
  /// The name, such as `top1` or `command:./map.py`.
  public let name: String
  /// Whether a higher score is better.
  public let higherIsBetter: Bool
  /// Whether scores are fractions from 0 to 1, so that drops are given in percentage points. Drops
  /// of other scores are in the unit of the score.
  public let isFraction: Bool

  /// A label from its parts.
  public init(name: String, higherIsBetter: Bool = true, isFraction: Bool = false) {
    (self.name, self.higherIsBetter, self.isFraction) = (name, higherIsBetter, isFraction)
  }

  /// The factor that turns a difference of scores into a drop: percentage points, or the unit of
  /// the score, and positive if the second score is worse.
  var dropScale: Double { (isFraction ? 100 : 1) * (higherIsBetter ? 1 : -1) }

  /// The word for a change to the worse: `drop` or `rise`.
  package var loss: String { higherIsBetter ? "drop" : "rise" }

  /// The unit of a drop, with a space: ` points`; empty for scores that are not fractions.
  var unit: String { isFraction ? " points" : "" }
}

/// How good the outputs of a model are: compared with labels, with targets, or with the outputs of
/// the original model.
///
/// The metrics that have a name are those of ``named(_:)``. A closure is a metric too:
///
///     let metric = Metric(name: "mean error", higherIsBetter: false) { batch in
///       let depth: Tensor<Float> = try batch.outputs["depth"]!.require()
///       return depth.elements.map(Double.init)  // one score for each sample
///     }
public struct Metric: Sendable {
  /// What its scores are compared with.
  package enum Reference: Sendable {
    /// Classes of the samples.
    case labels
    /// Targets if the data have some, else the original's outputs.
    case targetsOrOriginal
    /// The original's outputs.
    case original
    /// Nothing that we would have to give it.
    case own
  }

  /// How scores come about.
  package enum Kind: Sendable {
    /// The fraction of the samples whose class is among the first ones that the model names.
    case accuracy(among: Int)
    /// By a scorer for each model.
    case scorer(@Sendable (MetricSetting) throws -> any MetricScorer)
  }

  /// Its name, and how its scores are read.
  public let label: MetricLabel
  package let reference: Reference
  package let kind: Kind

  /// Whether to leave the labels of data aside: it compares other things than classes.
  public let ignoresLabels: Bool

  /// Its name.
  public var name: String { label.name }
  /// Whether a higher score is better.
  public var higherIsBetter: Bool { label.higherIsBetter }

  package init(
    _ label: MetricLabel, _ reference: Reference, _ kind: Kind, ignoresLabels: Bool = false
  ) {
    (self.label, self.reference, self.kind) = (label, reference, kind)
    self.ignoresLabels = ignoresLabels
  }

  /// A metric that a closure computes, batch by batch, in the order of the samples.
  ///
  /// A model's score is the mean over its samples. With a score for each sample, goals can be
  /// confirmed by a paired test on samples; with one for each batch, by one on batches. NaN is the
  /// worst possible score: a model whose outputs are not numbers is never mistaken for a good one.
  ///
  /// - Parameters:
  ///   - name: The name in reports and messages.
  ///   - higherIsBetter: Whether a higher score is better.
  ///   - isFraction: Whether scores are fractions from 0 to 1: drops are then in percentage points.
  ///   - needsOriginal: Whether the closure reads ``MetricBatch/original``, which costs a second
  ///     model's time.
  ///   - score: Returns one score for each sample of a batch, or a single one for the batch. It is
  ///     called on one thread at a time. Errors that it throws end the evaluation.
  public init(
    name: String, higherIsBetter: Bool = true, isFraction: Bool = false,
    needsOriginal: Bool = false, score: @escaping @Sendable (MetricBatch) throws -> [Double]
  ) {
    let label = MetricLabel(name: name, higherIsBetter: higherIsBetter, isFraction: isFraction)
    self.init(
      label, needsOriginal ? .original : .own,
      .scorer { _ in ClosureScorer(label: label, score: score) })
  }

  /// Whether compressions and comparisons by this metric tell how many classes are right, too. If
  /// not, labels of data are only what the metric makes of them.
  ///
  /// - Parameter models: The models to be judged.
  public func countsClasses(of models: [Graph]) -> Bool {
    if case .accuracy = kind { return true }
    return !ignoresLabels && models.allSatisfy(Evaluation.canScore)
  }

  /// The metric that is used if none is chosen: top-1 accuracy with labels, else agreement with the
  /// original model.
  public static func standard(hasLabels: Bool) -> Metric { hasLabels ? .top1 : .agreement }

  /// The metric of a name: `top1`, `top5`, `agreement`, `mse`, `cosine`, `retrieval`, `miou`, or
  /// `command:CMD` (`command-:CMD` if lower is better), where CMD is a command for the shell.
  ///
  /// - Throws: `badInput` naming the metrics there are.
  public static func named(_ name: String) throws -> Metric {
    if let metric = all.first(where: { $0.name == name }) { return metric }
    for (prefix, higherIsBetter) in [("command:", true), ("command-:", false)]
    where name.hasPrefix(prefix) {
      let command = String(name.dropFirst(prefix.count))
      guard !command.allSatisfy(\.isWhitespace) else {
        throw SwiftletError(
          .badInput, "the metric has no command", at: name,
          fix: "give one, such as \(prefix)'python3 score.py'")
      }
      return .command(command, higherIsBetter: higherIsBetter)
    }
    let known = all.map(\.name)
    let meant = Nearest.word(to: name, among: known).map { "did you mean '\($0)'? else " } ?? ""
    throw SwiftletError(
      .badInput, "there is no metric '\(name)'",
      fix: "\(meant)use one of \(known.joined(separator: ", ")) or command:CMD")
  }

  /// The metrics that have names of their own.
  public static let all: [Metric] = [top1, top5, agreement, mse, cosine, retrieval, miou]

  /// The fraction of the samples whose class is the first that the model names.
  public static let top1 = Metric(
    MetricLabel(name: "top1", isFraction: true), .labels, .accuracy(among: 1))

  /// The fraction of the samples whose class is among the first five that the model names.
  public static let top5 = Metric(
    MetricLabel(name: "top5", isFraction: true), .labels, .accuracy(among: 5))
}

/// The outputs of a model for some samples, and what they can be compared with.
public struct MetricBatch: Sendable {
  /// The judged outputs by name; the first axis counts the samples, except in models that take one
  /// sample at a time and leave that axis out.
  public let outputs: [String: AnyTensor]
  /// The names of ``outputs``, in the model's order.
  public let outputNames: [String]
  /// The positions of the samples in the data set that is judged.
  public let samples: Range<Int>
  /// The rows of the samples in the arrays that they come from: other ones than ``samples`` if the
  /// data set is a part of them, or in another order.
  public let positions: [Int]
  /// The names of the samples: paths of pictures, else their positions as text.
  public let names: [String]
  /// The classes of the samples; empty if the data have none.
  public let labels: [Int]
  /// What the outputs should be, by the name of the output, or under the name `targets`; empty if
  /// the data have no targets. The first axis counts the samples.
  public let targets: [String: AnyTensor]
  /// The original model's outputs for the same samples; empty unless the metric needs them.
  public let original: [String: AnyTensor]

  /// A batch from its parts; samples are named after their positions unless names are given.
  public init(
    outputs: [String: AnyTensor], outputNames: [String]? = nil, samples: Range<Int>,
    positions: [Int]? = nil, names: [String]? = nil, labels: [Int] = [],
    targets: [String: AnyTensor] = [:],
    original: [String: AnyTensor] = [:]
  ) {
    self.outputs = outputs
    self.outputNames = outputNames ?? outputs.keys.sorted()
    self.samples = samples
    self.positions = positions ?? Array(samples)
    self.names = names ?? self.positions.map(String.init)
    (self.labels, self.targets, self.original) = (labels, targets, original)
  }

  /// What an output should be; `nil` if the data do not say.
  func target(of output: String) -> AnyTensor? {
    targets[output] ?? (outputNames.count == 1 ? targets["targets"] : nil)
  }
}

/// What a scorer may have to know before the first batch.
package struct MetricSetting: Sendable {
  /// Number of samples that will be judged.
  let samples: Int
  /// Whether a bound on the drop will be asked for: scores of the whole data set alone do not
  /// suffice.
  let needsBound: Bool
  /// Seed of random choices.
  let seed: UInt64
  /// Called while work goes on outside of this process; throws to cancel.
  let progress: Progress.Handler?

  package init(
    samples: Int, needsBound: Bool = false, seed: UInt64 = 0, progress: Progress.Handler? = nil
  ) {
    (self.samples, self.needsBound, self.seed) = (samples, needsBound, seed)
    self.progress = progress
  }
}

/// Computes a metric of one model, batch by batch.
package protocol MetricScorer {
  /// - Throws: `badInput` or `unsupported` if the metric cannot judge such outputs.
  mutating func add(_ batch: MetricBatch) throws
  /// The result after the last batch.
  mutating func finish() throws -> MetricResult
}

/// A score and what a test of a difference between two models needs.
package struct MetricResult: Sendable {
  package let score: Double
  package let evidence: Evidence

  /// How the score varies with the samples.
  package enum Evidence: Sendable {
    /// A score for each unit, a sample or a batch; NaN for a sample that cannot be judged, which is
    /// the same for all models. The weights are the numbers of samples; empty: all are 1.
    case units([Double], weights: [Double])
    /// The overlaps of the classes in each sample.
    case overlaps(ClassOverlaps)
    /// The scores of random halves of the samples, the same halves for all models.
    case halves([Double])
    /// Only the score.
    case none
  }

  package init(score: Double, _ evidence: Evidence) {
    (self.score, self.evidence) = (score, evidence)
  }

  /// The mean of scores by unit, weighted by samples; without those that are NaN.
  package init(units: [Double], weights: [Double] = []) {
    var (sum, total) = (0.0, 0.0)
    for (index, unit) in units.enumerated() where !unit.isNaN {
      let weight = weights.isEmpty ? 1 : weights[index]
      sum += weight * unit
      total += weight
    }
    self.init(score: total > 0 ? sum / total : .nan, .units(units, weights: weights))
  }
}
