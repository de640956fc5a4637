import SwiftletCore
public import SwiftletTraining

/// Who learns from the teacher, from what, and how (`distill`).
///
/// Width, epochs, learning rate, temperature and alpha are in ``CompressionStep``.
public struct DistillationSettings: Sendable, Codable, Equatable {
  /// An ONNX file to train instead of a copy of the teacher.
  public var student: String?
  /// Blocks of the student, where they can be left out, as a fraction of the teacher's.
  public var depth = 1.0
  /// Whether a copy of the teacher begins with random weights instead of the teacher's.
  public var fresh = false
  /// Weight of hints: of the distance between features (`HintLoss`).
  public var hints = 0.0
  /// Weight of attention transfer (`AttentionLoss`).
  public var attention = 0.0
  /// Weight of the verdict of a discriminator (`AdversarialTerm`).
  public var adversarial = 0.0
  /// What hints and attention compare, as `STUDENT:TEACHER` or one name for both, of values or nodes;
  /// empty: the last values of each size that both networks have.
  public var layers: [String] = []
  /// How many of the training images, from the first, have labels; `nil`: all. The teacher labels
  /// the others.
  public var labels: Int?
  /// Ranks of factored layers shrink along a cosine until they cost this fraction (`RankAnnealing`);
  /// `nil`: they stay.
  public var annealRanks: Double?
  public var batch = 128
  public var optimizer = OptimizerKind.adam
  /// `nil`: the optimizer's own.
  public var weightDecay: Double?
  public var schedule = LearningRateSchedule.Kind.cosine
  /// Epochs in which the rate climbs.
  public var warmup = 0.0
  /// Epochs of the first cosine cycle, after which the rate starts again at its top (`cosine`), or
  /// between decays (`step`).
  public var restarts: Double?
  /// How many times as long each cycle is as the one before.
  public var stretch = 1.0
  /// Pixels by which training images are moved.
  public var crop = 0
  /// Whether training images are mirrored at random.
  public var flip = false
  /// A folder in which the teacher's answers are kept, if that is faster than to run it.
  public var teacherCache: String?

  public init() {}

  /// - Returns: Whether there is such a setting.
  mutating func set(_ key: String, _ value: SettingValue) throws -> Bool {
    switch key {
    case "student": student = try value.text()
    case "depth": depth = try value.number()
    case "fresh": fresh = try value.truth()
    case "hints": hints = try value.number()
    case "attention": attention = try value.number()
    case "adversarial": adversarial = try value.number()
    case "layers": layers = try value.names()
    case "labels": labels = try value.whole()
    case "annealRanks": annealRanks = try value.number()
    case "batch": batch = try value.whole()
    case "optimizer": optimizer = try value.choice()
    case "weightDecay": weightDecay = try value.number()
    case "schedule": schedule = try value.choice()
    case "warmup": warmup = try value.number()
    case "restarts": restarts = try value.number()
    case "stretch": stretch = try value.number()
    case "crop": crop = try value.whole()
    case "flip": flip = try value.truth()
    case "teacherCache": teacherCache = try value.text()
    default: return false
    }
    return true
  }

  /// - Throws: `badInput` naming the setting that is out of range.
  func validate() throws {
    func check<T: Comparable>(_ name: String, _ value: T, _ range: ClosedRange<T>) throws {
      guard range ~= value else {
        throw SwiftletError(
          .badInput,
          "\(name) \(plain(value)) is not between \(plain(range.lowerBound)) and \(plain(range.upperBound))",
          at: "distill")
      }
    }
    try check("depth", depth, 0...1)
    try check("hints", hints, 0...1e4)
    try check("attention", attention, 0...1e4)
    try check("adversarial", adversarial, 0...1e4)
    try check("labels", labels ?? 1, 1...1_000_000_000)
    try check("annealRanks", annealRanks ?? 1, 0.01...1)
    try check("batch", batch, 1...1_000_000)
    try check("weightDecay", weightDecay ?? 0, 0...1e3)
    try check("warmup", warmup, 0...1e4)
    try check("restarts", restarts ?? 1, 1e-3...1e4)
    try check("stretch", stretch, 1...1e3)
    try check("crop", crop, 0...1024)
    guard restarts == nil || schedule != .constant else {
      throw SwiftletError(
        .badInput, "restarts do nothing in a constant schedule", at: "distill",
        mend: "leave restarts out, or use schedule cosine or step")
    }
    guard stretch == 1 || restarts != nil && schedule == .cosine else {
      throw SwiftletError(
        .badInput, "stretch does nothing without restarts of schedule cosine", at: "distill",
        mend: "leave stretch out, or add restarts")
    }
    guard student == nil || depth == 1 && !fresh else {
      throw SwiftletError(
        .badInput, "a student of one's own is not changed by depth or fresh", at: "distill",
        mend: "leave them out")
    }
    guard annealRanks == nil || hints == 0 && attention == 0 else {
      throw SwiftletError(
        .badInput, "hints and attention compare layers whose ranks would change", at: "distill",
        mend: "leave them or annealRanks out")
    }
    guard layers.isEmpty || hints > 0 || attention > 0 else {
      throw SwiftletError(
        .badInput, "layers are compared by hints or attention, and both are 0", at: "distill",
        mend: "give one of them a weight")
    }
  }

  /// Whether the student has nothing of its teacher to begin with.
  var beginsAnew: Bool { fresh || student != nil }

  /// How the student is trained.
  func training(epochs: Int, learningRate: Double, seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      epochs: epochs, batch: batch,
      optimizer: OptimizerSettings(optimizer, weightDecay: weightDecay),
      schedule: LearningRateSchedule(
        schedule, rate: learningRate, warmup: warmup, period: restarts, stretch: stretch),
      augmentation: Augmentation(crop: crop, flips: flip), seed: seed)
  }
}

extension CompressionStep {
  /// How the student is taught by logits, where nothing was said.
  ///
  /// A student with random weights is first of all to find the right class: high temperatures ask for
  /// all logits at once, which it learns slowly or, being small, never. One that begins with the
  /// teacher's weights knows the class already, and learns the rest from softened probabilities.
  /// docs/distillation.md has the figures.
  package var teaching: (temperature: Double, alpha: Double) {
    let isNew = distillation.beginsAnew
    return (temperature ?? (isNew ? 1 : 4), alpha ?? (isNew ? 0.9 : 0.7))
  }
}
