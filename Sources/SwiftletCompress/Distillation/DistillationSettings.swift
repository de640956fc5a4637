// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletFormats
public import SwiftletTraining

/// Settings of the technique `distill`: who learns from the teacher, from what, and how.
public struct DistillationSettings: StepSettings {
  /// An ONNX file to train instead of a copy of the teacher.
  public var student: String?
  /// Channels of a copy of the teacher, as a fraction of all.
  public var width = 0.5
  /// Blocks of the student, where they can be left out, as a fraction of the teacher's.
  public var depth = 1.0
  /// Whether a copy of the teacher begins with random weights instead of the teacher's.
  public var fresh = false
  /// Softens the teacher's probabilities; `nil`: 4, or 1 if the student has none of the teacher's
  /// weights.
  public var temperature: Double?
  /// Weight of the teacher's probabilities; the labels get the rest. `nil`: 0.7, or 0.9 if the
  /// student has none of the teacher's weights.
  public var alpha: Double?
  /// Weight of hints: of the distance between features (`HintLoss`).
  public var hints = 0.0
  /// Weight of attention transfer (`AttentionLoss`).
  public var attention = 0.0
  /// Weight of the verdict of a discriminator (`AdversarialTerm`).
  public var adversarial = 0.0
  /// What hints and attention compare, as `STUDENT:TEACHER` or one name for both, of values or
  /// nodes; empty: the last values of each size that both networks have.
  public var layers: [String] = []
  /// How many of the training images, from the first, have labels; `nil`: all. The teacher labels
  /// the others.
  public var labels: Int?
  /// Ranks of factored layers shrink along a cosine until they cost this fraction
  /// (`RankAnnealing`); `nil`: they stay.
  public var annealRanks: Double?
  /// Passes over the training images.
  public var epochs = 1
  /// Images per update.
  public var batch = 128
  /// The highest one.
  public var learningRate = 1e-3
  public var optimizer = OptimizerKind.adam
  /// `nil`: the optimizer's own.
  public var weightDecay: Double?
  public var schedule = LearningRateSchedule.Kind.cosine
  /// Epochs in which the rate climbs.
  public var warmup = 0.0
  /// Epochs of the first cosine cycle, after which the rate starts again at its top (`cosine`), or
  /// between decays (`step`).
  public var period: Double?
  /// How many times as long each cycle is as the one before.
  public var stretch = 1.0
  /// Pixels by which training images are moved.
  public var crop = 0
  /// Whether training images are mirrored at random.
  public var flip = false
  /// A folder in which the teacher's answers are kept, if that is faster than to run it.
  public var teacherCache: String?
  /// Samples by which the channels of a narrower copy are chosen, and ranks annealed.
  public var calibrationImages = 512
  /// Whether channels are chosen by what the next layers see, or by weights alone.
  public var dataAware = true

  public init() {}

  public static let settings: [Setting<DistillationSettings>] = [
    Setting(
      "student", \.student, help: "ONNX model to train, instead of a smaller copy of the model",
      unset: "a copy of the model"),
    Setting(
      "width", \.width, 0.05...1, help: "fraction of the channels that a copy of the model gets"),
    Setting(
      "depth", \.depth, 0...1,
      help: "fraction of the removable blocks that a copy of the model gets"),
    Setting("fresh", \.fresh, help: "start the copy from random weights, not from the model's"),
    Setting("epochs", \.epochs, 1...10_000, help: "number of passes over the training images"),
    Setting(
      "learningRate", \.learningRate, 1e-9...10, help: "highest learning rate", aliases: ["lr"]),
    Setting(
      "temperature", \.temperature, 0.1...100, help: "softening of the teacher's probabilities",
      unset: "4; 1 with fresh or student"),
    Setting(
      "alpha", \.alpha, 0...1,
      help: "weight of the teacher's probabilities; the labels get the rest",
      unset: "0.7; 0.9 with fresh or student"),
    Setting(
      "hints", \.hints, 0...10_000,
      help: "weight of hints: features follow the teacher's through trained adapters; try 1"),
    Setting(
      "attention", \.attention, 0...10_000,
      help: "weight of attention transfer: the student looks where the teacher looks; try 1"),
    Setting(
      "adversarial", \.adversarial, 0...10_000,
      help: "weight of a trained discriminator between student and teacher; try 0.1"),
    Setting(
      "layers", \.layers,
      help: "layers or values that hints and attention compare, as NAME or STUDENT:TEACHER",
      unset: "the last ones of each size", aliases: ["layer"]),
    Setting(
      "labels", \.labels, 1...1_000_000_000,
      help: "number of training images whose labels are used; the teacher labels the others",
      unset: "all"),
    Setting(
      "annealRanks", \.annealRanks, 0.01...1,
      help: "fraction of the cost to which ranks of factored layers shrink during training",
      unset: "ranks stay"),
    Setting("batch", \.batch, 1...1_000_000, help: "number of images per update"),
    Setting("optimizer", \.optimizer, help: "update rule"),
    Setting(
      "weightDecay", \.weightDecay, 0...1000, help: "weight decay", unset: "0.01 for adamw, else 0"),
    Setting("schedule", \.schedule, help: "course of the learning rate"),
    Setting("warmup", \.warmup, 0...10_000, help: "number of epochs of linear warm-up"),
    Setting(
      "period", \.period, 0.001...10_000,
      help:
        "epochs of the first cosine cycle, after which the rate restarts, or between the decays "
        + "of step",
      unset: "no restarts", aliases: ["restarts"]),
    Setting(
      "stretch", \.stretch, 1...1000, help: "factor by which each cosine cycle outlasts the last"),
    Setting("crop", \.crop, 0...1024, help: "largest shift of training images, in pixels"),
    Setting("flip", \.flip, help: "mirror training images at random"),
    Setting(
      "teacherCache", \.teacherCache,
      help: "folder to keep the teacher's answers in, where reading is faster than running it",
      unset: "none"),
    Setting(
      "calibrationImages", \.calibrationImages, 1...10_000_000,
      help: "number of samples by which channels of a narrower copy are chosen",
      aliases: ["calibrationSize"]),
    Setting(
      "dataAware", \.dataAware,
      help: "choose those channels by what the next layers see, not by weights alone",
      shorthands: [SettingDescription.Shorthand("plain", .truth(false))]),
  ]

  package func summary(_ samples: String) -> String {
    "\(epochs) epoch(s), temperature \(teaching.temperature), alpha \(teaching.alpha)"
  }

  package var trains: Bool { true }
  package var labelUse: String? { "distillation learns from images with labels" }

  package mutating func settle(_ given: GivenSettings) throws {
    if given.has("temperature"), alpha == 0 {
      throw given.idle(
        "temperature", "with \(given.spelling("alpha")) 0", "leave it out, or give a larger alpha")
    }
    if given.has("student"), given.isOwn("width") {
      throw given.idle(
        "width", "with a student of one's own", "leave it out, as the student is trained as it is")
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
      SwiftletError(.badInput, what, mend: fix)
    }
    let (period, stretch) = (spelling("period"), spelling("stretch"))
    guard warmup <= Double(epochs) else {
      throw refuse(
        "\(spelling("warmup")) \(plain(warmup)) is longer than all \(epochs) epoch(s)",
        "use a shorter warmup, or more epochs")
    }
    guard self.period == nil || schedule != .constant else {
      throw refuse(
        "\(period) does nothing in a constant schedule",
        "leave \(period) out, or use \(spelling("schedule")) cosine or step")
    }
    guard self.stretch == 1 || self.period != nil && schedule == .cosine else {
      throw refuse(
        "\(stretch) does nothing without \(period) in a cosine schedule",
        "leave \(stretch) out, or add \(period)")
    }
    guard student == nil || depth == 1 && !fresh else {
      throw refuse(
        "\(spelling("depth")) and \(spelling("fresh")) do not change a student of one's own",
        "leave them out")
    }
    guard annealRanks == nil || hints == 0 && attention == 0 else {
      throw refuse(
        "\(spelling("hints")) and \(spelling("attention")) compare layers whose ranks would change",
        "leave them or \(spelling("annealRanks")) out")
    }
    guard layers.isEmpty || hints > 0 || attention > 0 else {
      throw refuse(
        "\(spelling("layers")) are for hints or attention, and both are 0",
        "give one of \(spelling("hints")) and \(spelling("attention")) a weight")
    }
  }

  package func check(trainingImages: Int) throws {
    guard let labels, labels > trainingImages else { return }
    throw SwiftletError(
      .badInput, "labels \(labels) is more than the \(trainingImages) training images",
      at: Technique.distill.rawValue, mend: "leave labels out to use them all")
  }

  package func hasty(samples: Int, of technique: Technique) -> DistillationSettings? { nil }

  /// Of the user's student. Answers in a teacher's cache are named by what they are of, and need
  /// none.
  package func dependencies() throws -> [String] {
    try student.map { path in [try locating(path) { try ONNXFile.read(path).digest() }] } ?? []
  }

  package static func upgrade(_ former: inout FormerSettings) {
    let dataAware = former.groups["decomposition"]?["dataAware"]
    former.take("distillation")
    former.common["dataAware"] = dataAware
    former.rename("restarts", to: "period")
  }

  /// Whether the student has nothing of its teacher to begin with.
  private var startsFromNothing: Bool { fresh || student != nil }

  /// How the student is taught by logits, where nothing was said.
  ///
  /// A student with random weights is first of all to find the right class: high temperatures ask
  /// for all logits at once, which it learns slowly or, being small, never. One that begins with
  /// the teacher's weights knows the class already, and learns the rest from softened
  /// probabilities. docs/distillation.md has the figures.
  package var teaching: (temperature: Double, alpha: Double) {
    (temperature ?? (startsFromNothing ? 1 : 4), alpha ?? (startsFromNothing ? 0.9 : 0.7))
  }

  /// How the student is trained.
  func training(seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      epochs: epochs, batch: batch,
      optimizer: OptimizerSettings(optimizer, weightDecay: weightDecay),
      schedule: LearningRateSchedule(
        schedule, rate: learningRate, warmup: warmup, period: period, stretch: stretch),
      augmentation: Augmentation(crop: crop, flips: flip), seed: seed)
  }

  /// How a copy of the teacher gets narrower.
  var pruning: PruneSettings {
    var settings = PruneSettings()
    (settings.width, settings.dataAware) = (width, dataAware)
    settings.calibrationImages = calibrationImages
    return settings
  }
}

extension OptimizerKind: SettingChoice {}
extension LearningRateSchedule.Kind: SettingChoice {}

/// A smaller student learns from the model.
package enum DistillTechnique: TechniqueDefinition {
  package static let name = "distill"
  package static let summary = "trains a smaller student, or what other techniques left"

  package static func makePass(_ settings: DistillationSettings) -> any CompressionPass {
    DistillPass(settings)
  }
}

extension Technique {
  /// A smaller student learns from the model.
  public static let distill = Technique(DistillTechnique.self)
}

extension CompressionStep {
  /// A smaller student learns from the model.
  public static func distill(
    _ change: (inout DistillationSettings) throws -> Void
  ) rethrows -> Self {
    try Self(.distill, change)
  }
}
