// SPDX-License-Identifier: Apache-2.0

/// The report of a compression without labels, as JSON for scripts. See ``CompressionReport`` for
/// labelled images.
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
  /// The models that a preset tried; `nil` without a preset.
  public let candidates: [UnlabelledResult.Candidate]?
  /// The overall result, and reasons for concern.
  public let verdict: CompressionVerdict
  /// Number of threads.
  public let threads: Int
  /// The CPU and the software running on it.
  public let machine: String?

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
    candidates = result.candidates
    let speedup = result.before.samplesPerSecond.flatMap { own in
      result.after.samplesPerSecond.map { $0 / own }
    }
    verdict = CompressionVerdict(
      layers: layers, bytes: (before.fileBytes, after.fileBytes), speedup: speedup,
      decibels: agreement?.decibels, equal: agreement?.equal, drop: nil)
  }
}
