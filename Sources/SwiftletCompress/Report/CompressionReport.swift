// SPDX-License-Identifier: Apache-2.0

public import SwiftletData
import SwiftletTraining

/// What a compression did, as one document for scripts and one page for people.
///
/// What is optional is missing where nothing of the kind was measured, and in reports of versions
/// that did not state it; the page leaves those parts out.
public struct CompressionReport: Sendable, Codable {
  public struct Side: Sendable, Codable {
    public let top1: Double
    public let fileBytes: Int
    public let parameters: Int
    public let macs: Int
    public let imagesPerSecond: Double
    public let latencyMs: Double
    /// Where the accuracy on all images of the kind lies, with 95 % confidence (Wilson).
    public let top1Low: Double?
    public let top1High: Double?

    init(_ cost: ModelCost, _ accuracy: Evaluation, _ speed: CompressionResult.Speed) {
      top1 = accuracy.top1
      fileBytes = cost.fileBytes
      parameters = cost.parameters
      macs = cost.macs
      imagesPerSecond = speed.imagesPerSecond
      latencyMs = speed.latencyMs
      let interval = WilsonInterval(top1: accuracy.top1, images: accuracy.images)
      top1Low = interval?.low
      top1High = interval?.high
    }
  }

  public let model: String
  public let output: String
  public let techniques: [Technique]
  public let recipe: Recipe
  /// Images that the accuracies were measured on.
  public let images: Int
  public let threads: Int
  public let before: Side
  public let after: Side
  /// Points of top-1 accuracy lost, in percent.
  public let drop: Double
  /// What that many images say about it.
  public let paired: PairedTest
  public let layers: [LayerReport]
  /// The processor, and what runs on it.
  public let machine: String?
  /// Times on one thread and on all, of single images and batches.
  public let speeds: [SpeedRow]?
  /// How the answers differ, class by class.
  public let confusion: Confusion?
  /// All models that were tried, the one that was taken among them.
  public let candidates: [Candidate]?
  /// What was trained on the way.
  public let histories: [StageHistory]?
  /// What it came to.
  public let verdict: CompressionVerdict?
  /// Images that there were to train and calibrate with; ``images`` are others.
  public let trainingImages: Int?
  /// How images were divided, where the data set's own parts were not what was asked for.
  public let division: String?
  /// What is done to images, and whether that is guessed.
  public let preprocessing: String?
  /// Of a model with several outputs: how the answers of all of them compare.
  public let agreement: Agreement?
  /// How sure the bound on the drop was to be, if not 95 %.
  public let confidence: Double?
  /// What casts doubt on the figures.
  public let warnings: [String]?

  /// `machine`: The processor, and what runs on it. `data`: Where the images are from.
  public init(
    _ result: CompressionResult, model: String, output: String, threads: Int,
    machine: String? = nil, data: DataParts? = nil
  ) {
    self.model = model
    self.output = output
    self.threads = threads
    self.machine = machine
    recipe = result.recipe
    techniques = result.recipe.steps.map(\.technique)
    images = result.accuracyAfter.images
    before = Side(result.before, result.accuracyBefore, result.speedBefore)
    after = Side(result.after, result.accuracyAfter, result.speedAfter)
    drop = result.drop
    paired = result.paired
    layers = result.layers
    speeds = result.speeds.isEmpty ? nil : result.speeds
    confusion = result.confusion
    candidates = result.candidates.isEmpty ? nil : result.candidates
    histories = result.histories.isEmpty ? nil : result.histories
    verdict = CompressionVerdict(
      layers: result.layers, bytes: (before.fileBytes, after.fileBytes),
      speedup: after.imagesPerSecond / before.imagesPerSecond, decibels: nil, drop: drop)
    trainingImages = result.trainingImages
    division = data?.remark
    preprocessing = result.preprocessing
    agreement = result.agreement
    confidence = result.confidence == PairedTest.confidence ? nil : result.confidence
    let warnings = result.warnings + [data?.warning].compactMap { $0 }
    self.warnings = warnings.isEmpty ? nil : warnings
  }

  /// ``PairedTest/summary`` with the confidence that was asked for.
  public var drops: String { paired.summary(confidence: confidence ?? PairedTest.confidence) }

  /// One page that needs nothing else.
  public var html: String {
    ReportPage(
      title: "\(Self.name(model)), compressed",
      facts: [
        "\(model) → \(output)", techniques.map(\.rawValue).joined(separator: ", "),
        "\(ReportNumber.count(images)) images",
        "\(threads) thread\(threads == 1 ? "" : "s")", machine,
      ],
      tiles: tiles,
      sections: [
        summarySection, tradeOffSection, layerSection, spectrumSection, curveSection,
        confusionSection, recipeSection,
      ]
    ).html
  }

  /// The last part of a path.
  static func name(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
