// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletFormats
public import SwiftletTraining

/// Settings of the technique `distill`: the student, the terms of its loss, and the training.
public struct DistillationSettings: StepSettings {
  /// Path of an ONNX model to train instead of a copy of the teacher; `nil`: a copy.
  public var student: String?
  /// Fraction of the channels that a copy of the teacher keeps, above 0 and at most 1.
  public var width = 0.5
  /// Fraction of the removable blocks that a copy of the teacher keeps, 0 to 1.
  public var depth = 1.0
  /// Whether a copy of the teacher starts from random weights instead of the teacher's.
  public var fresh = false
  /// Temperature that softens the teacher's probabilities; `nil`: 4, or 1 if the student has none
  /// of the teacher's weights.
  public var temperature: Double?
  /// Weight of the teacher's probabilities, 0 to 1; the labels get the rest. `nil`: 0.7, or 0.9 if
  /// the student has none of the teacher's weights.
  public var alpha: Double?
  /// Weight of hints, the distance between features (`HintLoss`).
  public var hints = 0.0
  /// Weight of attention transfer (`AttentionLoss`).
  public var attention = 0.0
  /// Weight of a discriminator's judgement (`AdversarialTerm`).
  public var adversarial = 0.0
  /// Names of the values or nodes that hints and attention compare, as `STUDENT:TEACHER` or one
  /// name for both; empty: the last values of each size that both networks have.
  public var layers: [String] = []
  /// Number of training images, from the first on, whose labels are used; `nil`: all. The teacher
  /// labels the others.
  public var labels: Int?
  /// Fraction of their cost to which the ranks of factored layers shrink along a cosine
  /// (`RankAnnealing`); `nil`: they do not shrink.
  public var annealRanks: Double?
  /// Passes over the training images.
  public var epochs = 1
  /// Images per update.
  public var batch = 128
  /// Peak learning rate.
  public var learningRate = 1e-3
  /// The update rule.
  public var optimizer = OptimizerKind.adam
  /// Weight decay; `nil`: the default of the optimizer.
  public var weightDecay: Double?
  /// Schedule of the learning rate.
  public var schedule = LearningRateSchedule.Kind.cosine
  /// Epochs of linear warm-up at the beginning.
  public var warmup = 0.0
  /// Epochs of the first cosine cycle, after which the rate restarts at its maximum (`cosine`), or
  /// between decays (`step`); `nil`: no restarts.
  public var period: Double?
  /// Length of each cosine cycle relative to the previous one.
  public var stretch = 1.0
  /// Largest random shift of training images, in pixels.
  public var crop = 0
  /// Whether training images are mirrored at random.
  public var flip = false
  /// Path of a folder that caches the teacher's outputs, where reading them is faster than running
  /// the teacher; `nil`: none.
  public var teacherCache: String?
  /// Maximum number of samples for choosing the channels of a narrower copy and for annealing
  /// ranks.
  public var calibrationImages = 512
  /// Whether those channels are chosen by the inputs of the next layers, rather than by weights
  /// alone.
  public var dataAware = true

  /// The default settings.
  public init() {}

  public static let settings: [Setting<DistillationSettings>] = [
    Setting(
      "student", \.student, help: "ONNX model to train, instead of a smaller copy of the model",
      unset: "a copy of the model"),
    Setting(
      "width", \.width, 0.05...1, help: "fraction of the channels that a copy of the model keeps"),
    Setting(
      "depth", \.depth, 0...1,
      help: "fraction of the removable blocks that a copy of the model keeps"),
    Setting("fresh", \.fresh, help: "start the copy from random weights, not from the model's"),
    Setting("epochs", \.epochs, 1...10_000, help: "number of passes over the training images"),
    Setting(
      "learningRate", \.learningRate, 1e-9...10, help: "peak learning rate", aliases: ["lr"]),
    Setting(
      "temperature", \.temperature, 0.1...100,
      help: "temperature that softens the teacher's probabilities",
      unset: "4; 1 with fresh or student"),
    Setting(
      "alpha", \.alpha, 0...1,
      help: "weight of the teacher's probabilities; the labels get the rest",
      unset: "0.7; 0.9 with fresh or student"),
    Setting(
      "hints", \.hints, 0...10_000,
      help: "weight of hints, which match features to the teacher's through trained adapters; "
        + "try 1"),
    Setting(
      "attention", \.attention, 0...10_000,
      help: "weight of attention transfer, which matches where student and teacher look; try 1"),
    Setting(
      "adversarial", \.adversarial, 0...10_000,
      help: "weight of a discriminator trained to distinguish student from teacher; try 0.1"),
    Setting(
      "layers", \.layers,
      help: "layers or values that hints and attention compare, as NAME or STUDENT:TEACHER",
      unset: "the last one of each size", aliases: ["layer"]),
    Setting(
      "labels", \.labels, 1...1_000_000_000,
      help: "number of training images whose labels are used; the teacher labels the others",
      unset: "all"),
    Setting(
      "annealRanks", \.annealRanks, 0.01...1,
      help: "fraction of their cost to which the ranks of factored layers shrink during training",
      unset: "ranks do not shrink"),
    Setting("batch", \.batch, 1...1_000_000, help: "number of images per update"),
    Setting("optimizer", \.optimizer, help: "update rule"),
    Setting(
      "weightDecay", \.weightDecay, 0...1000, help: "weight decay",
      unset: "0.01 for adamw, else 0"),
    Setting("schedule", \.schedule, help: "schedule of the learning rate"),
    Setting("warmup", \.warmup, 0...10_000, help: "number of epochs of linear warm-up"),
    Setting(
      "period", \.period, 0.001...10_000,
      help:
        "number of epochs of the first cosine cycle, after which the rate restarts, or between "
        + "decays of step",
      unset: "no restarts", aliases: ["restarts"]),
    Setting(
      "stretch", \.stretch, 1...1000,
      help: "length of each cosine cycle relative to the previous one"),
    Setting("crop", \.crop, 0...1024, help: "largest random shift of training images, in pixels"),
    Setting("flip", \.flip, help: "mirror training images at random"),
    Setting(
      "teacherCache", \.teacherCache,
      help: "folder that caches the teacher's outputs, where reading is faster than running it",
      unset: "none"),
    Setting(
      "calibrationImages", \.calibrationImages, 1...10_000_000,
      help: "maximum number of samples for choosing the channels of a narrower copy",
      aliases: ["calibrationSize"]),
    Setting(
      "dataAware", \.dataAware,
      help: "choose those channels by the inputs of the next layers, not by weights alone",
      shorthands: [SettingDescription.Shorthand("plain", .truth(false))]),
  ]

  package func summary(_ samples: String) -> String {
    "\(epochs) epoch(s), temperature \(teaching.temperature), alpha \(teaching.alpha)"
  }

  package var trains: Bool { true }
  package var labelUse: String? { "distillation needs images with labels" }

  package mutating func settle(_ given: GivenSettings) throws {
    if given.has("temperature"), alpha == 0 {
      throw given.idle(
        "temperature", "with \(given.spelling("alpha")) 0", "leave it out, or use a larger alpha")
    }
    if given.has("student"), given.isOwn("width") {
      throw given.idle(
        "width", "with \(given.spelling("student"))",
        "leave it out, as the student is trained as it is")
    }
    if let before = given.before, before != .distill,
      let name = ["depth", "fresh", "width"].first(where: given.isOwn)
    {
      throw given.idle(
        name, "in distill after \(before.rawValue)",
        "leave it out, as the result of \(before.rawValue) is trained as it is")
    }
  }

  package func check(_ spelling: SettingSpelling, of technique: Technique) throws {
    func refuse(_ what: String, _ fix: String) -> SwiftletError {
      SwiftletError(.badInput, what, fix: fix)
    }
    let (period, stretch) = (spelling("period"), spelling("stretch"))
    guard warmup <= Double(epochs) else {
      throw refuse(
        "\(spelling("warmup")) \(plain(warmup)) exceeds \(spelling("epochs")) \(epochs)",
        "use a shorter warm-up or more epochs")
    }
    guard self.period == nil || schedule != .constant else {
      throw refuse(
        "\(period) does nothing with a constant schedule",
        "leave \(period) out, or use \(spelling("schedule")) cosine or step")
    }
    guard self.stretch == 1 || self.period != nil && schedule == .cosine else {
      throw refuse(
        "\(stretch) does nothing without \(period) and a cosine schedule",
        "leave \(stretch) out, or add \(period)")
    }
    guard student == nil || depth == 1 && !fresh else {
      throw refuse(
        "\(spelling("depth")) and \(spelling("fresh")) do nothing with \(spelling("student"))",
        "leave them out")
    }
    guard annealRanks == nil || hints == 0 && attention == 0 else {
      throw refuse(
        "\(spelling("hints")) and \(spelling("attention")) cannot compare layers of changing rank",
        "leave them or \(spelling("annealRanks")) out")
    }
    guard layers.isEmpty || hints > 0 || attention > 0 else {
      throw refuse(
        "\(spelling("layers")) does nothing without hints or attention",
        "use a positive \(spelling("hints")) or \(spelling("attention"))")
    }
  }

  package func check(trainingImages: Int) throws {
    guard let labels, labels > trainingImages else { return }
    throw SwiftletError(
      .badInput, "labels \(labels) exceeds the \(trainingImages) training images",
      at: Technique.distill.rawValue, fix: "leave labels out to use all of them")
  }

  package func hasty(samples: Int, of technique: Technique) -> DistillationSettings? { nil }

  /// The digest of the user's student. Entries of a teacher cache have names that depend on their
  /// content, so the cache needs no digest.
  package func dependencies() throws -> [String] {
    try student.map { path in [try locating(path) { try ONNXFile.read(path).digest() }] } ?? []
  }

  package static func upgrade(_ former: inout FormerSettings) {
    let dataAware = former.groups["decomposition"]?["dataAware"]
    former.take("distillation")
    former.common["dataAware"] = dataAware
    former.rename("restarts", to: "period")
  }

  /// Whether the student starts without any of the teacher's weights.
  private var startsFromNothing: Bool { fresh || student != nil }

  /// Temperature and alpha, with their defaults if they are not set.
  ///
  /// A student with random weights first has to find the right class: high temperatures ask for all
  /// logits at once, which it learns slowly or, if it is small, never. A student that starts from
  /// the teacher's weights knows the class already, and learns the rest from softened
  /// probabilities. docs/distillation.md has the measurements.
  package var teaching: (temperature: Double, alpha: Double) {
    (temperature ?? (startsFromNothing ? 1 : 4), alpha ?? (startsFromNothing ? 0.9 : 0.7))
  }

  /// The settings of the training.
  func training(seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      epochs: epochs, batch: batch,
      optimizer: OptimizerSettings(optimizer, weightDecay: weightDecay),
      schedule: LearningRateSchedule(
        schedule, rate: learningRate, warmup: warmup, period: period, stretch: stretch),
      augmentation: Augmentation(crop: crop, flips: flip), seed: seed)
  }

  /// The settings that make a copy of the teacher narrower.
  var pruning: PruneSettings {
    var settings = PruneSettings()
    (settings.width, settings.dataAware) = (width, dataAware)
    settings.calibrationImages = calibrationImages
    return settings
  }
}

extension OptimizerKind: SettingChoice {}
extension LearningRateSchedule.Kind: SettingChoice {}

/// Trains a smaller student to reproduce the model's outputs.
package enum DistillTechnique: TechniqueDefinition {
  package static let name = "distill"
  package static let summary = "trains a smaller student, or the result of other techniques"

  package static func makePass(_ settings: DistillationSettings) -> any CompressionPass {
    DistillPass(settings)
  }
}

extension Technique {
  /// Trains a smaller student to reproduce the model's outputs.
  public static let distill = Technique(DistillTechnique.self)
}

extension CompressionStep {
  /// A step that trains a smaller student to reproduce the model's outputs.
  ///
  /// - Parameter change: Changes the default settings.
  public static func distill(
    _ change: (inout DistillationSettings) throws -> Void
  ) rethrows -> Self {
    try Self(.distill, change)
  }
}
