import ArgumentParser
import Swiftlet

/// Who learns in `distill`, from what, and how. What is left out keeps the settings' defaults.
struct DistillationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "An ONNX model that learns from the model, instead of a copy of it with fewer channels.",
      valueName: "file"))
  var student: String?

  @Option(help: "Channels of a copy of the model that learns, as a fraction; default 0.5.")
  var width: Double?

  @Option(
    help: "Blocks of such a copy that could be left out, as a fraction of the model's; default 1.")
  var depth: Double?

  @Flag(help: "Such a copy begins with random weights instead of the model's own.")
  var fresh = false

  @Option(help: "Epochs of distillation; default 1.")
  var epochs: Int?

  @Option(
    help: ArgumentHelp(
      "Softens the teacher's probabilities, so that they show what it takes for alike; default 4, with --fresh or --student 1.",
      valueName: "t"))
  var temperature: Double?

  @Option(
    help:
      "Weight of the teacher's probabilities, 0 to 1; the labels get the rest. 0, without hints and the like, trains the student alone. Default 0.7, with --fresh or --student 0.9."
  )
  var alpha: Double?

  @Option(
    help: ArgumentHelp(
      "Weight of hints: features of the student, through a trained adapter, follow the teacher's (FitNets); try 1.",
      valueName: "weight"))
  var hints: Double?

  @Option(
    help: ArgumentHelp(
      "Weight of attention transfer: the student looks where the teacher looks; try 1.",
      valueName: "weight"))
  var attention: Double?

  @Option(
    help: ArgumentHelp(
      "Weight of a trained discriminator that tells student and teacher apart; try 0.1.",
      valueName: "weight"))
  var adversarial: Double?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "A layer or value for hints and attention, or two, as STUDENT:TEACHER; may be repeated. Default: the last of each size.",
      valueName: "layer"))
  var layer: [String] = []

  @Option(
    help: ArgumentHelp(
      "Use the labels of the first n training images only; the teacher labels all.",
      valueName: "n"))
  var labels: Int?

  @Option(
    help: ArgumentHelp(
      "Ranks of layers factored before shrink along a cosine, until they cost this fraction.",
      valueName: "share"))
  var annealRanks: Double?

  @Option(help: "Images per update; default 128.")
  var batch: Int?

  @Option(name: .customLong("lr"), help: "Highest learning rate; default 0.001.")
  var learningRate: Double?

  @Option(
    help: ArgumentHelp(
      "Update rule: adam (default), adamw, nadam or sgd.", valueName: "name"))
  var optimizer: OptimizerKind?

  @Option(help: "Weight decay; default: 0.01 for adamw, else 0.")
  var weightDecay: Double?

  @Option(
    help: ArgumentHelp(
      "Course of the learning rate: cosine (default), constant or step.", valueName: "name"))
  var schedule: LearningRateSchedule.Kind?

  @Option(help: "Epochs of linear warm-up.")
  var warmup: Double?

  @Option(
    help: ArgumentHelp(
      "Epochs of the first cosine cycle: the rate then starts again (warm restarts).",
      valueName: "epochs"))
  var restarts: Double?

  @Option(help: "Factor by which each cycle is longer than the one before.")
  var stretch: Double?

  @Option(help: "Move training images by up to so many pixels.")
  var crop: Int?

  @Flag(help: "Mirror training images at random.")
  var flip = false

  @Option(
    help: ArgumentHelp(
      "A folder to keep the teacher's answers in, if that is faster than to run it.",
      valueName: "dir"))
  var teacherCache: String?

  /// The options that were given.
  var given: [String] {
    let options: [(name: String, isGiven: Bool)] = [
      ("--student", student != nil),
      ("--width", width != nil),
      ("--depth", depth != nil),
      ("--fresh", fresh),
      ("--epochs", epochs != nil),
      ("--temperature", temperature != nil),
      ("--alpha", alpha != nil),
      ("--hints", hints != nil),
      ("--attention", attention != nil),
      ("--adversarial", adversarial != nil),
      ("--layer", !layer.isEmpty),
      ("--labels", labels != nil),
      ("--anneal-ranks", annealRanks != nil),
      ("--batch", batch != nil),
      ("--lr", learningRate != nil),
      ("--optimizer", optimizer != nil),
      ("--weight-decay", weightDecay != nil),
      ("--schedule", schedule != nil),
      ("--warmup", warmup != nil),
      ("--restarts", restarts != nil),
      ("--stretch", stretch != nil),
      ("--crop", crop != nil),
      ("--flip", flip),
      ("--teacher-cache", teacherCache != nil),
    ]
    return options.filter(\.isGiven).map(\.name)
  }

  /// Sets what was given.
  func apply(to step: inout CompressionStep) {
    step.width = width ?? step.width
    step.epochs = epochs ?? step.epochs
    step.learningRate = learningRate ?? step.learningRate
    step.temperature = temperature
    step.alpha = alpha
    var settings = step.distillation
    settings.student = student
    settings.depth = depth ?? settings.depth
    settings.fresh = fresh
    settings.hints = hints ?? settings.hints
    settings.attention = attention ?? settings.attention
    settings.adversarial = adversarial ?? settings.adversarial
    settings.layers = layer
    settings.labels = labels
    settings.annealRanks = annealRanks
    settings.batch = batch ?? settings.batch
    settings.optimizer = optimizer ?? settings.optimizer
    settings.weightDecay = weightDecay
    settings.schedule = schedule ?? settings.schedule
    settings.warmup = warmup ?? settings.warmup
    settings.restarts = restarts
    settings.stretch = stretch ?? settings.stretch
    settings.crop = crop ?? settings.crop
    settings.flip = flip
    settings.teacherCache = teacherCache
    step.distillation = settings
  }
}
