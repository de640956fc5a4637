// SPDX-License-Identifier: Apache-2.0

import Logging
import OrderedCollections
import SwiftletCharts
public import SwiftletCore
public import SwiftletData
import SwiftletFiles
public import SwiftletGraph

/// Trains a graph on images.
///
/// Every random choice is derived from the seed, the epoch and the step rather than from a running
/// stream, so a run resumed from a checkpoint continues bit for bit as if it had never stopped.
public struct Trainer: Sendable {
  private var graph: Graph
  private let training: ImageDataset
  /// What tells whether the pictures are still the same when a run is resumed.
  private let files: String?
  private let validation: ImageDataset
  private let settings: TrainingSettings
  private let objective: any TrainingObjective
  private let threads: Threads
  private let checkpoint: CheckpointFile?
  private let feed: InputFeed
  private var tape: GradientTape<Float>
  private let inputName: String
  /// The number of images that the model takes at once, if it is fixed and cannot be changed.
  private var fixedBatch: Int?
  /// The output with the scores; `nil` to detect it.
  private let output: String?
  private var state: TrainingState
  private let log = Logger.swiftlet("training")

  /// A `nil` objective means the labels, with the settings' label smoothing. Progress is saved in
  /// `checkpoint`; if the file exists and `resumes` is true, training continues from it. The scores
  /// are in `output`, by default the one that ``Evaluation/scores(of:for:)`` finds; parts that only
  /// other outputs depend on are not trained.
  ///
  /// - Throws: `unsupported` if the graph cannot be trained, `badInput` if it does not match the
  ///   data or the checkpoint is from another run.
  public init(
    _ graph: Graph, training: ImageDataset, validation: ImageDataset, settings: TrainingSettings,
    objective: (any TrainingObjective)? = nil, threads: Threads = .available,
    checkpoint: CheckpointFile? = nil, resumes: Bool = false, output: String? = nil
  ) throws {
    guard settings.epochs >= 1, settings.batch >= 1, training.count > 0 else {
      throw SwiftletError(
        .badInput,
        "epochs (\(settings.epochs)), batch size (\(settings.batch)) and number of images "
          + "(\(training.count)) must be at least 1")
    }
    guard graph.scaledCodes.isEmpty else {
      throw SwiftletError(
        .unsupported, "the model's weights are codes of 8 bits, which cannot be trained",
        fix: "train the model as it was before it was quantized")
    }
    // What is trained are constants, whatever a file makes them of.
    let graph = graph.foldingWeights()
    self.graph = graph
    self.training = training
    files = checkpoint == nil ? nil : Digest.ofFiles(training)
    self.validation = validation
    self.settings = settings
    let objective = objective ?? LabelObjective(labelSmoothing: settings.labelSmoothing)
    self.objective = objective
    self.threads = threads
    self.checkpoint = checkpoint
    try training.requireLabels()
    feed = try InputFeed(training, for: graph)
    try Evaluation.checkLabels(of: training, for: graph, output: output)
    self.output = output
    let side = feed.preprocessing.map { min($0.height, $0.width) } ?? .max
    guard feed.preprocessing != nil || settings.augmentation == .none else {
      throw SwiftletError(
        .unsupported, "only images are cropped and flipped, not arrays", at: training.name,
        fix: "leave --crop and --flip out")
    }
    guard settings.augmentation.crop < side else {
      throw SwiftletError(
        .badInput, "crop \(settings.augmentation.crop) moves images of \(side) pixels out of view",
        fix: side < 2 ? "leave it out" : "use at most \(max(1, side / 8)), or leave it out")
    }
    (tape, fixedBatch) = try Self.tape(graph.scored(by: output, on: training), objective)
    inputName = graph.dataInputs[0].name
    let values: OrderedDictionary<String, Tensor<Float>> = graph.initializers.compactMapValues {
      $0.typed()
    }
    if let name = objective.parameters.keys.first(where: { values[$0] != nil }) {
      throw SwiftletError(.badInput, "the model has a tensor '\(name)', which training needs")
    }
    state = TrainingState(
      values: values.merging(objective.parameters) { value, _ in value },
      optimizer: settings.optimizer)
    if resumes, let checkpoint,
      let stored = try checkpoint.load(for: settings, objective, training, files: files)
    {
      try stored.check(against: state)
      state = stored
      log.notice("resuming \(checkpoint.path) at epoch \(state.epoch + 1), batch \(state.batch)")
    }
  }

  /// The number of updates per epoch. The last batch may be smaller.
  private var stepsPerEpoch: Int { (training.count + settings.batch - 1) / settings.batch }

  /// Trains to the last epoch.
  ///
  /// - Returns: The trained graph, with its preprocessing in the metadata, and the results of each
  ///   epoch.
  /// - Throws: `numerical` if the loss is no longer finite. An error from `progress` stops the run
  ///   after writing a checkpoint.
  public mutating func run(
    progress: Progress.Handler? = nil
  ) throws -> (graph: Graph, history: TrainingHistory) {
    try run(progress: progress) { _, _ in nil }
  }

  /// Trains to the last epoch a graph that may change in between.
  ///
  /// - Parameter change: Called before each epoch, with its number from 0 and the current graph;
  ///   returns another graph to continue with, which has the values that the objective watches, or
  ///   `nil`. The optimizer then restarts.
  /// - Throws: As ``run(progress:)``, and errors of `change`.
  package mutating func run(
    progress: Progress.Handler?, changing change: (_ epoch: Int, Graph) throws -> Graph?
  ) throws -> (graph: Graph, history: TrainingHistory) {
    while state.epoch < settings.epochs {
      if state.batch == 0, let next = try change(state.epoch, trainedGraph()) {
        try goOn(with: next)
      }
      try runEpoch(progress)
    }
    return (trainedGraph(), state.history)
  }

  private mutating func goOn(with next: Graph) throws {
    (tape, fixedBatch) = try Self.tape(next.scored(by: output, on: training), objective)
    for name in graph.initializers.keys { state.values[name] = nil }
    for (name, tensor) in next.initializers { state.values[name] = tensor.typed() }
    state.optimizer = Optimizer(settings.optimizer)
    graph = next
  }

  private static func tape(
    _ graph: Graph, _ objective: any TrainingObjective
  ) throws -> (tape: GradientTape<Float>, fixedBatch: Int?) {
    let shown = try graph.showing(objective.watched).withSlicesForSplits().withoutFloatCasts()
    let open = shown.withOpenBatch()
    let tape = try GradientTape<Float>(try Interpreter(open ?? shown))
    let fixed = open == nil ? shown.dataInputs.first?.fixedBatch : nil
    if let fixed, tape.mixesBatch {
      throw SwiftletError(
        .unsupported,
        "the model takes exactly \(fixed) image(s) at once, too few to train batch normalization",
        fix: "export it with an open batch (dynamic_axes of torch.onnx.export)")
    }
    return (tape, fixed)
  }

  private mutating func runEpoch(_ progress: Progress.Handler?) throws {
    var generator = RandomGenerator(
      seed: settings.seed, stream: Stream.order, UInt64(state.epoch))
    let order = generator.permutation(of: training.count)
    let clock = ContinuousClock()
    let (start, resumedAt) = (clock.now, state.batch)
    // The loader is lent `self`'s feed, while each step changes `self`.
    let (feed, threads) = (feed, threads)
    try feed.loading(order, from: resumedAt * settings.batch, threads: threads) { loader in
      try runSteps(loader, order, progress)
    }
    let seconds = start.duration(to: clock.now) / .seconds(1)
    let images = min((stepsPerEpoch - resumedAt) * settings.batch, training.count)
    try finishEpoch(seconds: seconds, imagesPerSecond: Double(images) / max(seconds, 1e-9))
  }

  /// Trains on the batches of an epoch that are left.
  private mutating func runSteps(
    _ loader: SampleLoader, _ order: [Int], _ progress: Progress.Handler?
  ) throws {
    let clock = ContinuousClock()
    let (start, resumedAt) = (clock.now, state.batch)
    while state.batch < stepsPerEpoch {
      let first = state.batch * settings.batch
      let positions = first..<min(first + settings.batch, training.count)
      try runStep(loader, positions, Array(order[positions]))
      state.batch += 1
      let seen = (state.batch - resumedAt) * settings.batch
      do {
        try progress?(
          Progress(
            "epoch \(state.epoch + 1)/\(settings.epochs)",
            completed: min(state.batch * settings.batch, training.count), total: training.count,
            remark: "loss \(fixed(state.lossSum / Double(state.seen), 4)), "
              + "\(Int(Double(seen) / (start.duration(to: clock.now) / .seconds(1)))) images/s"))
      } catch {
        try save()
        throw error
      }
      if let interval = checkpoint?.interval, state.batch % interval == 0 { try save() }
    }
  }

  private mutating func runStep(
    _ loader: SampleLoader, _ positions: Range<Int>, _ indices: [Int]
  ) throws {
    let step = state.epoch * stepsPerEpoch + state.batch
    var generator = RandomGenerator(seed: settings.seed, stream: Stream.moves, UInt64(step))
    let moves = settings.augmentation.moves(count: indices.count, using: &generator)
    let pass = try ShardedPass(
      tape: tape, inputName: inputName, loader: loader, objective: objective,
      progress: Double(step) / Double(stepsPerEpoch * settings.epochs), fixedBatch: fixedBatch,
      threads: threads
    ).run(
      training, at: positions, indices, moves, parameters: state.values,
      seed: RandomGenerator(seed: settings.seed, stream: Stream.layers, UInt64(step)).state)
    try checkLoss(
      pass.loss, "batch \(state.batch + 1)", isEntropy: objective is LabelObjective)
    state.lossSum += pass.loss * Double(indices.count)
    state.correct += pass.correct
    state.seen += indices.count
    state.optimizer.update(
      &state.values, gradients: pass.gradients,
      learningRate: settings.schedule.rate(
        step: step, stepsPerEpoch: stepsPerEpoch, epochs: settings.epochs))
    for (name, tensor) in pass.updates { state.values[name] = tensor }
  }

  /// Larger cross-entropies mean scores that no classifier produces; other objectives have
  /// arbitrary weights.
  private static let (largestEntropy, largestLoss) = (1e6, 1e12)

  private func checkLoss(_ loss: Double, _ place: String, isEntropy: Bool) throws {
    guard !(loss.magnitude < (isEntropy ? Self.largestEntropy : Self.largestLoss)) else { return }
    throw SwiftletError(
      .numerical,
      "training diverged: the loss became \(loss) in epoch \(state.epoch + 1), \(place)",
      fix: "lower the learning rate (--learning-rate), or add --warmup")
  }

  private mutating func finishEpoch(seconds: Double, imagesPerSecond: Double) throws {
    let evaluation = try Evaluation.run(
      trainedGraph(), on: validation, threads: threads, output: output)
    try checkLoss(evaluation.loss, "validation", isEntropy: true)
    let step = (state.epoch + 1) * stepsPerEpoch - 1
    state.history.epochs.append(
      TrainingHistory.Epoch(
        epoch: state.epoch + 1, trainingLoss: state.lossSum / Double(state.seen),
        trainingTop1: Double(state.correct) / Double(state.seen),
        validationLoss: evaluation.loss, validationTop1: evaluation.top1,
        learningRate: settings.schedule.rate(
          step: step, stepsPerEpoch: stepsPerEpoch, epochs: settings.epochs),
        seconds: seconds, imagesPerSecond: imagesPerSecond))
    log.notice(
      """
      epoch \(state.epoch + 1)/\(settings.epochs): training loss \
      \(fixed(state.lossSum / Double(state.seen), 4)), \
      validation loss \(fixed(evaluation.loss, 4)), \
      top-1 \(fixed(evaluation.top1, 4)), \(Int(imagesPerSecond)) images/s
      """)
    state.beginNextEpoch()
    try save()
  }

  private func save() throws {
    try checkpoint?.save(state, settings, objective, training, files: files)
  }

  private func trainedGraph() -> Graph {
    var result = graph
    for name in graph.initializers.keys {
      guard let tensor = state.values[name] else { continue }
      // What a file has in bf16 is judged as it is written.
      result.initializers[name] = .float32(
        graph.halves[name] == 16 ? tensor.map(\.roundedToBFloat) : tensor)
    }
    feed.preprocessing?.store(in: &result)
    return result
  }

  /// Names of the random streams.
  private enum Stream {
    static let order: UInt64 = 1
    static let moves: UInt64 = 2
    static let layers: UInt64 = 3
  }
}

extension Graph {
  /// The graph with its logits and then the given values as outputs.
  ///
  /// - Throws: `badInput` naming a value that no node computes.
  package func showing(_ values: [String]) throws -> Graph {
    var graph = withLogitsOutput()
    graph.outputs = Array(graph.outputs.prefix(1))
    for name in values {
      guard graph.producer(of: name) != nil else {
        throw SwiftletError(.badInput, "the model does not compute a value '\(name)'")
      }
      if !graph.isOutput(name) {
        // Its shape is determined at run time.
        graph.outputs.append(ValueInfo(name, .float32, []))
      }
    }
    // They may read an output that has been removed.
    graph.removeUnusedNodes()
    return graph
  }
}
