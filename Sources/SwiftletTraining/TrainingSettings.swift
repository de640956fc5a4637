public import SwiftletData

/// Everything that decides how a model is trained. Together with the data, the model and the number
/// of threads it decides the result bit for bit.
public struct TrainingSettings: Sendable, Codable, Equatable {
  public var epochs: Int
  public var batch: Int
  public var optimizer: OptimizerSettings
  public var schedule: LearningRateSchedule
  public var labelSmoothing: Double
  public var augmentation: Augmentation
  public var seed: UInt64

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
