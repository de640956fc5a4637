// SPDX-License-Identifier: Apache-2.0

public import SwiftletData

/// Everything that decides how a model is trained. Together with the data, the model and the number
/// of threads it decides the result bit for bit.
public struct TrainingSettings: Sendable, Codable, Equatable {
  /// How often every image is trained with.
  public var epochs: Int
  /// Images per update.
  public var batch: Int
  /// The update rule.
  public var optimizer: OptimizerSettings
  /// The learning rate over the run.
  public var schedule: LearningRateSchedule
  /// ε of ``CrossEntropy``, from 0 to below 1.
  public var labelSmoothing: Double
  /// Random changes of training images.
  public var augmentation: Augmentation
  /// What every random choice is drawn from.
  public var seed: UInt64

  /// Settings of a run; by default Adam, three epochs in batches of 128.
  public init(
    epochs: Int = 3, batch: Int = 128, optimizer: OptimizerSettings = OptimizerSettings(.adam),
    schedule: LearningRateSchedule = LearningRateSchedule(.cosine, rate: 1e-3),
    labelSmoothing: Double = 0, augmentation: Augmentation = .none, seed: UInt64 = 0
  ) {
    self.epochs = epochs
    self.batch = batch
    self.optimizer = optimizer
    self.schedule = schedule
    self.labelSmoothing = labelSmoothing
    self.augmentation = augmentation
    self.seed = seed
  }
}
