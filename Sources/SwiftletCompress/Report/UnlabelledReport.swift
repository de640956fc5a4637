// SPDX-License-Identifier: Apache-2.0

/// The report of a compression without labels: JSON for scripts, and a page of HTML. See
/// ``CompressionReport`` for labelled images.
///
/// Optional properties are `nil` if nothing of the kind was measured, and in reports of older
/// versions.
public struct UnlabelledReport: Sendable, Codable {
  /// Path of the original model.
  public let model: String
  /// Path of the compressed model.
  public let output: String
  /// The techniques applied, in order.
  public let techniques: [Technique]
  /// The recipe applied.
  public let recipe: Recipe
  /// Number of calibration samples; ``Agreement/samples`` is the number of judging samples.
  public let samples: Int
  /// Agreement of the answers with the original's; `nil` without samples.
  public let agreement: Agreement?
  /// Whether answers were compared on samples that were not used for calibration.
  public let isHeldBack: Bool
  /// Number of judging samples that are duplicates of calibration samples; `nil` if there are none.
  public let repeated: Int?
  /// Number of samples left out because they do not fill a batch of the model.
  public let leftOut: Int
  /// The original model.
  public let before: UnlabelledResult.Side
  /// The compressed model.
  public let after: UnlabelledResult.Side
  /// What each step did to each layer.
  public let layers: [LayerReport]
  /// Times for single samples and batches, on one thread and on all.
  public let speeds: [SpeedRow]?
  /// The models that a preset or a search for goals tried; `nil` if there was only one.
  public let candidates: [UnlabelledResult.Candidate]?
  /// The overall result, and reasons for concern.
  public let verdict: CompressionVerdict
  /// Number of threads.
  public let threads: Int
  /// The CPU and the software running on it.
  public let machine: String?
  /// Reasons to doubt the figures, one sentence each.
  public let warnings: [String]?
  /// The scores by the metric; `nil` if none was chosen and no goal depends on one.
  public let metric: MetricReport?
  /// Number of pictures left out because they cannot be decoded; `nil`: they were not looked for.
  public var damaged: Int?

  /// Creates the report of a compression; `machine` names the CPU and the software running on it.
  public init(
    _ result: UnlabelledResult, model: String, output: String, threads: Int,
    machine: String? = nil
  ) {
    (self.model, self.output, self.threads, self.machine) = (model, output, threads, machine)
    recipe = result.recipe
    techniques = result.recipe.steps.map(\.technique)
    samples = result.calibrationSamples
    agreement = result.agreement
    isHeldBack = result.isHeldBack
    repeated = result.repeated > 0 ? result.repeated : nil
    leftOut = result.leftOut
    (before, after) = (result.before, result.after)
    layers = result.layers
    speeds = result.speeds.isEmpty ? nil : result.speeds
    candidates = result.candidates
    let speedup = result.before.samplesPerSecond.flatMap { own in
      result.after.samplesPerSecond.map { $0 / own }
    }
    verdict = CompressionVerdict(
      layers: layers, bytes: (before.fileBytes, after.fileBytes), speedup: speedup,
      decibels: agreement?.decibels, equal: agreement?.equal, drop: nil)
    let warnings = result.doubts
    self.warnings = warnings.isEmpty ? nil : warnings
    metric = result.metric
  }

  /// A phrase that says on which samples answers were compared; `nil` if they were not.
  package var division: String? {
    agreement.map { agreement in
      var text = SampleSplit.phrase(
        judging: agreement.samples, calibrating: samples, isHeldBack: isHeldBack,
        repeated: repeated ?? 0)
      if leftOut > 0 {
        // Reports that were read may have any numbers.
        let all = agreement.samples &+ leftOut &+ (isHeldBack ? samples : 0)
        text += " (\(leftOut) of \(all) left out, as they do not fill a batch of the model)"
      }
      return text
    }
  }
}

extension UnlabelledResult {
  /// Reasons to doubt the figures.
  fileprivate var doubts: [String] {
    guard let agreement else { return [] }
    var doubts: [String] = []
    if !isHeldBack {
      doubts.append("all samples that answers are compared on were used for calibration too")
    } else if repeated > 0 {
      doubts.append(
        "\(repeated) of the \(agreement.samples) samples that answers are compared on were used "
          + "for calibration too")
    }
    for output in agreement.outputs where output.undefined > 0 {
      doubts.append(
        "\(output.undefined) of the \(output.elements) elements of the original's output "
          + "'\(output.name)' are not finite")
    }
    if agreement.outputs.allSatisfy({ !$0.isMeasured && $0.equal == nil || $0.elements == 0 }) {
      doubts.append("no output could be compared")
    }
    return doubts
  }
}
