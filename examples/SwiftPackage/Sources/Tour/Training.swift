// SPDX-License-Identifier: Apache-2.0

/// Training.
///
/// A trainer takes any graph of differentiable layers and returns it with trained weights. With a
/// checkpoint, an interrupted run resumes and ends with the same bytes.

import Foundation
import Swiftlet

func train(
  _ training: ImageDataset, _ validation: ImageDataset, in folder: String
) throws -> Graph {
  let settings = TrainingSettings(
    epochs: 2, batch: 64, schedule: LearningRateSchedule(.cosine, rate: 2e-3), seed: 1)
  var trainer = try Trainer(
    SeedCNN.make(classes: training.classCount, seed: 1), training: training,
    validation: validation, settings: settings)
  let (graph, history) = try trainer.run { progress in
    if progress.completed == progress.total { print("\(progress.task): \(progress.remark ?? "")") }
  }
  for epoch in history.epochs {
    print("epoch \(epoch.epoch): loss \(epoch.trainingLoss), top-1 \(epoch.validationTop1)")
  }
  try history.svg(title: "Training").write(
    toFile: "\(folder)/training.svg", atomically: true, encoding: .utf8)
  try ONNXFile.write(graph, to: "\(folder)/seed.onnx")
  return graph
}
