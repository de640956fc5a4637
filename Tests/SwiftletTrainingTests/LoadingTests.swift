// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Pictures that are decoded ahead give what the same pictures in memory give.
struct LoadingTests {
  /// The same pictures in memory and in files, in one order.
  private func withPictures(
    _ count: Int, _ body: (_ packed: ImageDataset, _ files: ImageDataset) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let (images, labels) = Pictures.make(count: count, classes: 4)
      for index in 0..<count {
        try put(Pictures.bmp(images, at: index), folder, "\(index).bmp")
      }
      let files = try ImageDataset(
        name: "files", files: ImageFiles((0..<count).map { "\(folder)/\($0).bmp" }),
        labels: labels, classCount: 4)
      let order = paths(files).map { Int($0.split(separator: "/").last!.dropLast(4))! }
      let packed = try ImageDataset(
        name: "packed", images: images, labels: labels, classCount: 4)
      try body(packed.subset(order), files)
    }
  }

  private func paths(_ data: ImageDataset) -> [String] {
    if case .files(let files) = data.pixels { files.paths } else { [] }
  }

  private let settings = TrainingSettings(
    epochs: 2, batch: 16, optimizer: OptimizerSettings(.nadam),
    schedule: LearningRateSchedule(.cosine, rate: 0.01), augmentation: Augmentation(crop: 1),
    seed: 9)

  @Test(arguments: [1, 2, 3], [false, true])
  func trainingIsTheSameBitForBit(threads: Int, batchNorm: Bool) throws {
    try withPictures(90) { packed, files in
      let initializers = try [packed, files].map { data in
        var trainer = try Trainer(
          smallNetwork(batchNorm: batchNorm, dropout: 0.2), training: data, validation: data,
          settings: settings, threads: Threads(count: threads))
        return try trainer.run().graph.initializers
      }
      #expect(initializers[0] == initializers[1])
    }
  }

  /// Stops in the middle of an epoch, and at its end.
  @Test(arguments: [1, 4, 6, 7])
  func trainingGoesOnBitForBit(stop: Int) throws {
    try withPictures(90) { _, files in
      func trainer(_ checkpoint: CheckpointFile?, resumes: Bool) throws -> Trainer {
        try Trainer(
          smallNetwork(dropout: 0.2), training: files, validation: files, settings: settings,
          threads: 2, checkpoint: checkpoint, resumes: resumes)
      }
      try expectGoesOnBitForBit(after: stop, trainer)
    }
  }

  /// Of a model that takes 1 or 4 pictures at once, or any number.
  @Test(arguments: [nil, 1, 4], [1, 2])
  func evaluationIsTheSame(fixed: Int?, threads: Int) throws {
    try withPictures(30) { packed, files in
      var graph = smallNetwork()
      if let fixed {
        graph.inputs[0].dimensions[0] = .fixed(fixed)
        graph.outputs[0].dimensions[0] = .fixed(fixed)
      }
      let judged = try [packed, files].map { data in
        try Evaluation.judge(graph, on: data, batch: 7, threads: Threads(count: threads))
      }
      #expect(judged[0].choices == judged[1].choices && judged[0].choices.count == 30)
      #expect(judged[0].evaluation.loss == judged[1].evaluation.loss)
    }
  }

  @Test func aDamagedPictureEndsTraining() throws {
    try withPictures(90) { packed, files in
      let path = paths(files)[41]
      let cut = path.lastIndex(of: "/")!
      try put([1, 2, 3], String(path[..<cut]), String(path[cut...].dropFirst()))
      var trainer = try Trainer(
        smallNetwork(), training: files, validation: packed, settings: settings, threads: 2)
      expectError(.badInput, path) { try trainer.run() }
    }
  }
}
