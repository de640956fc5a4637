// SPDX-License-Identifier: Apache-2.0

public import SwiftletData
import SwiftletTraining

/// The report of a compression with labels: JSON for scripts, and a page of HTML.
///
/// Optional properties are `nil` if nothing of the kind was measured, and in reports of older
/// versions; the page leaves those parts out.
public struct CompressionReport: Sendable, Codable {
  /// The figures of one model.
  public struct Side: Sendable, Codable {
    /// Top-1 accuracy, 0 to 1.
    public let top1: Double
    /// Size of the ONNX file in bytes.
    public let fileBytes: Int
    /// Number of parameters.
    public let parameters: Int
    /// Multiply–accumulate operations per image.
    public let macs: Int
    /// Images per second in batches of 32 on all threads.
    public let imagesPerSecond: Double
    /// Median milliseconds for a single image on all threads.
    public let latencyMs: Double
    /// Lower bound of the 95 % confidence interval of the accuracy (Wilson).
    public let top1Low: Double?
    /// Upper bound of that interval.
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

  /// Path of the original model.
  public let model: String
  /// Path of the compressed model.
  public let output: String
  /// The techniques applied, in order.
  public let techniques: [Technique]
  /// The recipe applied.
  public let recipe: Recipe
  /// Number of images that accuracies were measured on.
  public let images: Int
  /// Number of threads.
  public let threads: Int
  /// The original model.
  public let before: Side
  /// The compressed model.
  public let after: Side
  /// Drop in top-1 accuracy, in percentage points.
  public let drop: Double
  /// A paired test of the drop.
  public let paired: PairedTest
  /// What each step did to each layer.
  public let layers: [LayerReport]
  /// The CPU and the software running on it.
  public let machine: String?
  /// Times for single images and batches, on one thread and on all.
  public let speeds: [SpeedRow]?
  /// How answers changed per class.
  public let confusion: Confusion?
  /// All models that were tried, including the chosen one.
  public let candidates: [Candidate]?
  /// Training histories of the steps that trained.
  public let histories: [StageHistory]?
  /// The overall result, and reasons for concern.
  public let verdict: CompressionVerdict?
  /// Number of images available for training and calibration, which are not among ``images``.
  public let trainingImages: Int?
  /// How images were split, if not into the data set's own parts.
  public let division: String?
  /// Summary of the image preprocessing, marked if it was guessed.
  public let preprocessing: String?
  /// Agreement of all outputs with the original's, for models with several outputs.
  public let agreement: Agreement?
  /// Confidence level of the bound on the drop, as a fraction; `nil` for 95 %.
  public let confidence: Double?
  /// Reasons to doubt the figures, one sentence each.
  public let warnings: [String]?
  /// The scores by the metric that models were judged by; `nil` for top-1 accuracy.
  public let metric: MetricReport?
  /// Number of pictures left out because they cannot be decoded; `nil`: they were not looked for.
  public var damaged: Int?

  /// Creates the report of a compression.
  ///
  /// - Parameters:
  ///   - result: What the compressor returned.
  ///   - model: Path of the original model.
  ///   - output: Path of the compressed model.
  ///   - threads: Number of threads.
  ///   - machine: The CPU and the software running on it.
  ///   - data: How the images were split.
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
    metric = result.metric
  }

  /// A summary of the drop in accuracy with its confidence bound.
  public var drops: String { paired.summary(confidence: confidence ?? PairedTest.confidence) }

  /// The report as a self-contained HTML page.
  public var html: String {
    ReportPage(
      title: "\(Self.name(model)), compressed", verdict: verdict,
      facts: facts("\(ReportNumber.count(images)) images", damaged), tiles: tiles,
      sections: [
        summarySection, tradeOffSection, answerSection, layerSection, spectrumSection, curveSection,
        confusionSection, recipeSection,
      ]
    ).html
  }

  /// The last component of a path.
  static func name(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
