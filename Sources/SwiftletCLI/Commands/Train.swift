// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet train`.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model on images.",
    discussion: """
      Writes the model to NAME.onnx, and loss and accuracy after each epoch to NAME.curves.json \
      and NAME.curves.svg. NAME.checkpoint saves the progress until training is complete; --resume \
      continues an interrupted run with the same result. Validation uses the test part of the \
      data, a part of the training data (--split), or other data (--judge). If the model has \
      several outputs, the one that fits the classes is trained, or --judged-output.

        swiftlet train --data fashion-mnist --epochs 3 -o seed.onnx
        swiftlet train --data 'cifar100:DIR:train[0..<1000]' --split 0.8 -o small.onnx
      """)

  @Option(help: "Model to train: an ONNX file, or seed-cnn, a small built-in network.")
  var model = "seed-cnn"

  @OptionGroup var data: DataOptions<LabelledData>

  @OptionGroup var open: ExtentOptions<LabelledData>

  @Option(help: "Number of passes over the training images.")
  var epochs = 3

  @Option(help: "Number of images per update.")
  var batch = 128

  @Option(help: "Update rule: adam, adamw, nadam or sgd.")
  var optimizer = OptimizerKind.adam

  @Option(
    name: .listing(["learning-rate", "lr"]), help: "Peak learning rate.")
  var learningRate = 1e-3

  @Option(help: "Schedule of the learning rate: cosine, constant or step.")
  var schedule = LearningRateSchedule.Kind.cosine

  @Option(help: "Number of epochs of linear warm-up.")
  var warmup = 0.0

  @Option(
    name: .listing(["period", "restarts"]),
    help: """
      Number of epochs of the first cosine cycle, after which the rate restarts, or between decays \
      of step.
      """)
  var period: Double?

  @Option(help: "Length of each cosine cycle relative to the previous one. Default: 1.")
  var stretch: Double?

  @Option(help: "Momentum of sgd. Default: 0.9.")
  var momentum: Double?

  @Option(help: "Weight decay. Default: 0.01 for adamw, else 0.")
  var weightDecay: Double?

  @Option(help: "Fraction of the target spread over all classes, 0 to below 1.")
  var labelSmoothing = 0.0

  @Option(help: "Largest random shift of training images, in pixels.")
  var crop = 0

  @Flag(help: "Mirror training images at random.")
  var flip = false

  @Option(help: "Seed of all random choices.")
  var seed: UInt64 = 0

  @Option(help: "Number of classes of seed-cnn. Default: from the data.")
  var classes: Int?

  @OptionGroup var judging: JudgingOptions

  @OptionGroup var preprocess: PreprocessOptions

  @Option(
    help: ArgumentHelp(
      "Output to train, with the class scores. Default: the only one that fits the classes.",
      valueName: "output"))
  var judgedOutput: String?

  @Flag(help: "Continue from the checkpoint, if there is one.")
  var resume = false

  @OptionGroup var force: ForceOptions

  @Option(help: "Number of batches between checkpoints.")
  var checkpointEvery = 200

  @Option(name: .shortAndLong, help: "The ONNX file to write.")
  var output: String

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var loader: LoaderOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try data.require()
    try check("--epochs", epochs, 1...1_000_000)
    try check("--batch", batch, 1...1_000_000)
    try check("--learning-rate", learningRate, 1e-9...1e6)
    try check("--warmup", warmup, 0...1e6)
    try check("--period", period ?? 1, 1e-3...1e6)
    try check("--stretch", stretch ?? 1, 1...1e3)
    try check("--momentum", momentum ?? 0, 0...0.9999)
    try check("--weight-decay", weightDecay ?? 0, 0...1e3)
    try check("--label-smoothing", labelSmoothing, 0...0.999)
    try check("--crop", crop, 0...1024)
    try check("--classes", classes ?? 1, 1...1_000_000)
    try check("--checkpoint-every", checkpointEvery, 1...1_000_000)
    guard warmup <= Double(epochs) else {
      throw ValidationError("--warmup \(plain(warmup)) exceeds --epochs \(epochs)")
    }
    if period != nil, schedule == .constant {
      throw ValidationError("--period does nothing with --schedule constant")
    }
    if stretch != nil, period == nil || schedule != .cosine {
      throw ValidationError("--stretch does nothing without --period and --schedule cosine")
    }
    if momentum != nil, optimizer != .sgd {
      throw ValidationError("--momentum does nothing with \(optimizer.rawValue): it is for sgd")
    }
  }

  func run() throws {
    let stem = output.hasSuffix(".onnx") ? String(output.dropLast(5)) : output
    let curves = (path: "\(stem).curves.json", name: "the file of curves")
    let read = [(model, "--model")] + OutputFiles.files(of: data, judging, preprocess)
    try OutputFiles(written: [(output, "--output"), curves], read: read).check(force: force.force)
    let damaged = data.damage.pictures(common.threads)
    let parts = try judging.parts(data, seed: seed, judgesWhole: true, leavingOut: damaged)
    let (training, validation) = (parts.training, parts.validation)
    var graph = try startingModel(training)
    if model != "seed-cnn" || preprocess.preprocess != nil {
      try locating(model) { try preprocess.prepare(&graph, model, for: training) }
    }
    let settings = TrainingSettings(
      epochs: epochs, batch: batch,
      optimizer: OptimizerSettings(optimizer, momentum: momentum ?? 0.9, weightDecay: weightDecay),
      schedule: LearningRateSchedule(
        schedule, rate: learningRate, warmup: warmup, period: period, stretch: stretch ?? 1),
      labelSmoothing: labelSmoothing, augmentation: Augmentation(crop: crop, flips: flip),
      seed: seed)
    let checkpoint = CheckpointFile(path: "\(stem).checkpoint", interval: checkpointEvery)
    if InputFile.exists(checkpoint.path), !resume, !force.force {
      throw SwiftletError(
        .badInput, "there is a checkpoint of an earlier run", at: checkpoint.path,
        fix: "continue that run with --resume, or discard it with --force")
    }
    var trainer = try Trainer(
      graph, training: training, validation: validation, settings: settings,
      threads: common.threads,
      checkpoint: checkpoint, resumes: resume, output: judgedOutput)
    Console.say(
      "training \(graph.name), \(graph.parameterCount) parameters, on \(training.count) images of "
        + "\(training.name), \(common.threads.count) thread(s)")
    let (trained, history) = try run(&trainer, checkpoint)
    try ONNXFile.write(trained, to: output)
    try AtomicFile.write(history.json(), to: curves.path)
    try AtomicFile.write(
      history.svg(title: "\(graph.name) on \(training.name)"), to: "\(stem).curves.svg")
    checkpoint.remove()
    if let last = history.epochs.last {
      let guesses = GuessTest(
        top1: last.validationTop1, images: validation.count, classes: validation.classCount)
      if let warning = guesses.warning { Console.warn(warning + PreprocessOptions.advice) }
    }
    try report(history, curves: stem, leftOut: damaged)
  }

  private func run(
    _ trainer: inout Trainer, _ checkpoint: CheckpointFile
  ) throws -> (graph: Graph, history: TrainingHistory) {
    do { return try trainer.run(progress: Console.progress) } catch is CancellationError {
      throw SwiftletError(
        .interrupted, "interrupted", at: checkpoint.path, fix: "continue with --resume")
    }
  }

  private func startingModel(_ data: ImageDataset) throws -> Graph {
    if model == "seed-cnn" {
      // One wrong label would make a network with a million scores.
      guard classes != nil || data.classCount <= max(1000, data.count) else {
        throw SwiftletError(
          .badInput,
          "\(data.count) images have \(data.classCount) classes, up to the largest label",
          at: data.name, fix: "check the labels, or set --classes")
      }
      let graph = SeedCNN.make(classes: classes ?? data.classCount, seed: seed)
      _ = try open.extents(for: graph)
      return graph
    }
    guard classes == nil else {
      throw SwiftletError(
        .unsupported, "--classes is only for the built-in model", fix: "leave it out")
    }
    return try open.read(model).foldingWeights()
  }

  private func report(
    _ history: TrainingHistory, curves: String, leftOut damaged: DamagedPictures?
  ) throws {
    guard let last = history.epochs.last else { return }

    /// The JSON result.
    struct Result: Encodable {
      let model: String
      let top1, loss, imagesPerSecond: Double
      let epochs: [TrainingHistory.Epoch]
      let threads, peakMemoryBytes: Int
    }
    // The median is representative of a long run: the first epoch warms up.
    let speeds = history.epochs.map(\.imagesPerSecond).sorted()
    let speed = speeds[speeds.count / 2]
    if common.json {
      try Console.json(
        Result(
          model: output, top1: last.validationTop1, loss: last.validationLoss,
          imagesPerSecond: speed, epochs: history.epochs, threads: common.threads.count,
          peakMemoryBytes: peakMemory()), leftOut: damaged)
    }
    Console.say(
      "wrote \(output): top-1 \(fixed(last.validationTop1, 4)), \(fixed(speed, 0)) images/s, "
        + "peak memory \(peakMemory() >> 20) MB; curves in \(curves).curves.svg")
  }
}

/// Checks that the value of an option is in its range.
func check<T: Comparable>(_ option: String, _ value: T, _ range: ClosedRange<T>) throws {
  guard range ~= value else {
    let limits =
      range.upperBound as? Int == .max
      ? "at least \(plain(range.lowerBound))"
      : "between \(plain(range.lowerBound)) and \(plain(range.upperBound))"
    throw ValidationError("\(option) \(plain(value)) is not \(limits)")
  }
}
