// SPDX-License-Identifier: Apache-2.0

/// What a compression without labels did, for scripts. ``CompressionReport`` is for labelled
/// images.
public struct UnlabelledReport: Sendable, Codable {
  public let model: String
  public let output: String
  public let techniques: [Technique]
  public let recipe: Recipe
  /// Samples that the model was calibrated with. ``Agreement/samples`` judged it.
  public let samples: Int
  /// `nil` without samples.
  public let agreement: Agreement?
  /// Whether the answers are to samples that nothing was calibrated with.
  public let isHeldBack: Bool
  /// How many of the samples that judge are the same as some that were calibrated with; `nil` for
  /// none.
  public let repeated: Int?
  /// Samples that fill no batch of the model's.
  public let leftOut: Int
  public let before: UnlabelledResult.Side
  public let after: UnlabelledResult.Side
  public let layers: [LayerReport]
  /// The models that a preset has tried.
  public let candidates: [UnlabelledResult.Candidate]?
  /// What it came to.
  public let verdict: CompressionVerdict
  public let threads: Int
  public let machine: String?

  /// `machine`: The processor, and what runs on it.
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
