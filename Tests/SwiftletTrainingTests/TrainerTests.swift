// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining
import Testing
import _SwiftletTestSupport

struct TrainerTests {
  private func settings(_ epochs: Int = 3, _ optimizer: OptimizerKind = .adam, rate: Double = 0.01)
    -> TrainingSettings
  {
    TrainingSettings(
      epochs: epochs, batch: 16, optimizer: OptimizerSettings(optimizer),
      schedule: LearningRateSchedule(.cosine, rate: rate),
      augmentation: Augmentation(crop: 1), seed: 9)
  }

  @Test(arguments: OptimizerKind.allCases, [false, true])
  func everyOptimizerLearns(kind: OptimizerKind, batchNorm: Bool) throws {
    var trainer = try Trainer(
      smallNetwork(batchNorm: batchNorm), training: try pictures(200),
      validation: try pictures(80, seed: 2),
      settings: settings(6, kind, rate: kind == .sgd ? 0.05 : 0.01))
    let (graph, history) = try trainer.run()
    #expect(history.epochs.count == 6)
    #expect(history.epochs[5].trainingLoss < history.epochs[0].trainingLoss)
    #expect(history.epochs[5].validationTop1 > 0.9)
    #expect(try Evaluation.run(graph, on: pictures(80, seed: 3)).top1 > 0.9)
  }

  @Test func sameSeedSameModel() throws {
    func train() throws -> [UInt8] {
      var trainer = try Trainer(
        smallNetwork(dropout: 0.2), training: try pictures(100), validation: try pictures(20),
        settings: settings(), threads: Threads(count: 2))
      return try ONNXFile.encode(try trainer.run().graph)
    }
    #expect(try train() == train())
  }

  /// Stops after every number of batches in turn, and goes on from the checkpoint.
  @Test(arguments: [1, 4, 7, 8, 13], [false, true])
  func resumingContinuesBitForBit(stop: Int, batchNorm: Bool) throws {
    let graph = smallNetwork(batchNorm: batchNorm, dropout: 0.2)
    let (training, validation) = (try pictures(100), try pictures(20))
    func trainer(_ checkpoint: CheckpointFile?, resumes: Bool) throws -> Trainer {
      try Trainer(
        graph, training: training, validation: validation, settings: settings(2, .nadam),
        threads: Threads(count: 2), checkpoint: checkpoint, resumes: resumes)
    }
    try expectGoesOnBitForBit(after: stop, trainer)
  }

  /// What kill -9 leaves is the last checkpoint: the run goes on from there to the same end.
  @Test func aKilledRunGoesOnFromItsLastCheckpoint() throws {
    let (training, validation) = (try pictures(100), try pictures(20))
    try withTemporaryFolder { folder in
      let (path, copy) = ("\(folder)/run.checkpoint", "\(folder)/killed.checkpoint")
      func trainer(_ path: String, resumes: Bool) throws -> Trainer {
        try Trainer(
          smallNetwork(), training: training, validation: validation, settings: settings(2),
          checkpoint: CheckpointFile(path: path, interval: 2), resumes: resumes)
      }
      var whole = try trainer(path, resumes: false)
      let count = Counter()
      let expected = try whole.run { _ in
        // Batch 6 is not a multiple of the interval: the file then holds batch 4.
        if count.next() == 6 { try AtomicFile.write(try InputFile.read(path), to: copy) }
      }.graph
      var resumed = try trainer(copy, resumes: true)
      #expect(try ONNXFile.encode(try resumed.run().graph) == ONNXFile.encode(expected))
    }
  }

  @Test func checkpointsOfOtherRunsAreRefused() throws {
    try withTemporaryFolder { folder in
      let checkpoint = CheckpointFile(path: "\(folder)/run.checkpoint")
      let data = try pictures(40)
      var first = try Trainer(
        smallNetwork(), training: data, validation: data, settings: settings(1),
        checkpoint: checkpoint)
      _ = try first.run()
      func resume(_ graph: Graph, _ settings: TrainingSettings) throws {
        _ = try Trainer(
          graph, training: data, validation: data, settings: settings, checkpoint: checkpoint,
          resumes: true)
      }
      try resume(smallNetwork(), settings(1))
      #expect(throws: SwiftletError.self) { try resume(smallNetwork(), settings(2)) }
      #expect(throws: SwiftletError.self) { try resume(smallNetwork(batchNorm: true), settings(1)) }
      try AtomicFile.write("rubbish", to: checkpoint.path)
      #expect(throws: SwiftletError.self) { try resume(smallNetwork(), settings(1)) }
    }
  }

  @Test func aLossThatIsNoNumberStopsTheRun() throws {
    var trainer = try Trainer(
      smallNetwork(), training: try pictures(100), validation: try pictures(20),
      settings: settings(3, .sgd, rate: 1e30))
    let error = #expect(throws: SwiftletError.self) { _ = try trainer.run() }
    #expect(error?.code == .numerical)
    #expect(error?.description.contains("epoch 1") == true)
    #expect(error?.description.contains("--learning-rate") == true)
  }

  /// One row for all images together, as a model exported with a wrong Flatten gives.
  @Test func modelsThatMixUpImagesAreRefused() throws {
    var graph = smallNetwork()
    graph.nodes.append(
      Node(
        "Flatten", name: "all", inputs: [graph.outputs[0].name], outputs: ["one"],
        attributes: ["axis": .int(0)]))
    graph.outputs = [ValueInfo("one", .float32, [.fixed(1), .symbolic("M")])]
    let error = #expect(throws: SwiftletError.self) {
      _ = try Evaluation.run(graph, on: pictures(8))
    }
    #expect(error?.code == .badInput)
    var trainer = try Trainer(
      graph, training: try pictures(8), validation: try pictures(8), settings: settings(1))
    #expect(throws: SwiftletError.self) { _ = try trainer.run() }
  }

  /// A closing Softmax without inputs must be refused, not looked into.
  @Test func aSoftmaxOfNothingIsRefused() {
    var graph = smallNetwork()
    graph.nodes.append(Node("Softmax", name: "s", inputs: [], outputs: ["p"]))
    graph.outputs = [ValueInfo("p", .float32, [.symbolic("N"), .fixed(4)])]
    #expect(throws: SwiftletError.self) { try Evaluation.run(graph, on: pictures(8)) }
  }

  @Test func quantizedModelsCannotBeTrained() throws {
    var graph = smallNetwork()
    graph.initializers["s"] = .float32(Tensor(.scalar, [0.1]))
    graph.nodes.append(
      Node("QuantizeLinear", name: "q", inputs: [graph.outputs[0].name, "s"], outputs: ["end"]))
    graph.outputs = [ValueInfo("end", .uint8, [.symbolic("N"), .fixed(4)])]
    let error = #expect(throws: SwiftletError.self) {
      _ = try Trainer(
        graph, training: try pictures(8), validation: try pictures(8), settings: settings(1))
    }
    #expect(error?.code == .unsupported)
  }

  /// 1000 images, 100 classes, 80/20, from a file in CIFAR-100's own format.
  @Test func theSeedsOwnCaseRuns() throws {
    var generator = RandomGenerator(seed: 5)
    var file: [UInt8] = []
    for index in 0..<1000 {
      file += [UInt8(index % 20), UInt8(index % 100)]
      file += (0..<3072).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }
    try withTemporaryFolder { folder in
      try AtomicFile.write(file, to: "\(folder)/train.bin")
      let data = try DataSpec(parsing: "cifar100:\(folder):train").load(defaultPart: .train)
      let (training, validation) = try data.split(0.8, seed: 0)
      #expect((training.count, validation.count, data.classCount) == (800, 200, 100))
      var trainer = try Trainer(
        SeedCNN.make(classes: 100, seed: 0), training: training, validation: validation,
        settings: TrainingSettings(epochs: 1, batch: 100))
      let (graph, history) = try trainer.run()
      #expect(history.epochs.count == 1)
      #expect(history.epochs[0].validationLoss.isFinite)
      #expect(try Session(graph).run(Tensor(zeros: [2, 3, 32, 32])).shape == [2, 100])
    }
  }
}

/// Counts calls, from whatever thread.
final class Counter: @unchecked Sendable {
  private var count = 0

  func next() -> Int {
    count += 1
    return count
  }
}
