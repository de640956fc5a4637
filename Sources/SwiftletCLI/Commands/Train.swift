// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model on images.",
    discussion: """
      Writes the model, and beside it what each epoch reached: NAME.curves.json and NAME.curves.svg. \
      Progress is kept in NAME.checkpoint until the run is done; --resume continues there as if \
      nothing had happened. Validation uses the test part of the data, with --split a part of \
      the training data, or with --judge other data. Of several outputs the one is trained that can \
      hold scores of all classes, or --judged-output.

        swiftlet train --data fashion-mnist --epochs 3 -o seed.onnx
        swiftlet train --data 'cifar100:DIR:train[0..<1000]' --split 0.8 -o small.onnx
      """)

  @Option(help: "seed-cnn, or an ONNX file to go on from.")
  var model = "seed-cnn"

  @OptionGroup var data: DataOptions

  @OptionGroup var open: ExtentOptions

  @Option(help: "Passes over the training images.")
  var epochs = 3

  @Option(help: "Images per update.")
  var batch = 128

  @Option(help: "Update rule: adam, adamw, nadam or sgd.")
  var optimizer = OptimizerKind.adam

  @Option(
    name: [.customLong("learning-rate"), .customLong("lr")], help: "Highest learning rate.")
  var learningRate = 1e-3

  @Option(help: "Course of the learning rate: cosine, constant or step.")
  var schedule = LearningRateSchedule.Kind.cosine

  @Option(help: "Epochs of linear warm-up.")
  var warmup = 0.0

  @Option(
    name: [.customLong("period"), .customLong("restarts")],
    help: "Epochs of the first cosine cycle (warm restarts), or between the decays of step.")
  var period: Double?

  @Option(help: "Factor by which each cosine cycle outlasts the last; default: 1.")
  var stretch: Double?

  @Option(help: "Momentum of sgd; default 0.9.")
  var momentum: Double?

  @Option(help: "Weight decay; default: 0.01 for adamw, else 0.")
  var weightDecay: Double?

  @Option(help: "Share of the target spread over all classes, 0 to below 1.")
  var labelSmoothing = 0.0

  @Option(help: "Largest shift of training images, in pixels.")
  var crop = 0

  @Flag(help: "Mirror training images at random.")
  var flip = false

  @Option(help: "Seed for all random numbers.")
  var seed: UInt64 = 0

  @Option(help: "Classes of seed-cnn; default: as many as the data have.")
  var classes: Int?

  @OptionGroup var judging: JudgingOptions

  @OptionGroup var preprocess: PreprocessOptions

  @Option(
    help: ArgumentHelp(
      "The output that is trained, with the scores; default: the only one that can hold them.",
      valueName: "output"))
  var judgedOutput: String?

  @Flag(help: "Continue from the checkpoint, if there is one.")
  var resume = false

  @OptionGroup var force: ForceOptions

  @Option(help: "Batches between two checkpoints.")
  var checkpointEvery = 200

  @Option(name: .shortAndLong, help: "The ONNX file to write.")
  var output: String

  @OptionGroup var limits: LimitOptions

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
      throw ValidationError("--warmup \(plain(warmup)) is longer than all \(epochs) epoch(s)")
    }
    if period != nil, schedule == .constant {
      throw ValidationError("--period does nothing in --schedule constant")
    }
    if stretch != nil, period == nil || schedule != .cosine {
      throw ValidationError("--stretch does nothing without --period of --schedule cosine")
    }
    if momentum != nil, optimizer != .sgd {
      throw ValidationError("--momentum does nothing in \(optimizer.rawValue): it is for sgd")
    }
  }

  func run() throws {
    let stem = output.hasSuffix(".onnx") ? String(output.dropLast(5)) : output
    let curves = (path: "\(stem).curves.json", name: "the file of curves")
    let read = [(model, "--model")] + OutputFiles.files(of: data, judging)
    try OutputFiles(written: [(output, "--output"), curves], read: read).check(force: force.force)
    let parts = try judging.parts(data, seed: seed, judgesWhole: true)
    let (training, validation) = (parts.training, parts.validation)
    var graph = try startingModel(training)
    if model != "seed-cnn" || preprocess.preprocess != nil {
      try locating(model) { try preprocess.prepare(&graph, for: training) }
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
        mend: "continue that run with --resume, or discard it with --force")
    }
    var trainer = try Trainer(
      graph, training: training, validation: validation, settings: settings, threads: common.threads,
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
    try report(history, curves: stem)
  }

  private func run(
    _ trainer: inout Trainer, _ checkpoint: CheckpointFile
  ) throws -> (graph: Graph, history: TrainingHistory) {
    do { return try trainer.run(progress: Console.progress) } catch is CancellationError {
      throw SwiftletError(
        .interrupted, "interrupted", at: checkpoint.path, mend: "continue with --resume")
    }
  }

  private func startingModel(_ data: ImageDataset) throws -> Graph {
    if model == "seed-cnn" {
      let graph = SeedCNN.make(classes: classes ?? data.classCount, seed: seed)
      _ = try open.extents(for: graph)
      return graph
    }
    guard classes == nil else {
      throw SwiftletError(
        .unsupported, "--classes changes the built-in model only", mend: "leave it out")
    }
    return try open.read(model).foldingWeights()
  }

  private func report(_ history: TrainingHistory, curves: String) throws {
    guard let last = history.epochs.last else { return }
    struct Result: Encodable {
      let model: String
      let top1, loss, imagesPerSecond: Double
      let epochs: [TrainingHistory.Epoch]
      let threads, peakMemoryBytes: Int
    }
    // The median is what a long run would see: the first epoch warms up.
    let speeds = history.epochs.map(\.imagesPerSecond).sorted()
    let speed = speeds[speeds.count / 2]
    if common.json {
      try Console.json(
        Result(
          model: output, top1: last.validationTop1, loss: last.validationLoss,
          imagesPerSecond: speed, epochs: history.epochs, threads: common.threads.count,
          peakMemoryBytes: peakMemory()))
    }
    Console.say(
      "wrote \(output): top-1 \(fixed(last.validationTop1, 4)), \(fixed(speed, 0)) images/s, "
        + "peak memory \(peakMemory() >> 20) MB; curves in \(curves).curves.svg")
  }
}

/// Checks that an option's value lies in its range.
func check<T: Comparable>(_ option: String, _ value: T, _ range: ClosedRange<T>) throws {
  guard range ~= value else {
    throw ValidationError(
      "\(option) \(plain(value)) is not between \(plain(range.lowerBound)) and \(plain(range.upperBound))"
    )
  }
}
