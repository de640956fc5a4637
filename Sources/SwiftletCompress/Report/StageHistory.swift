// SPDX-License-Identifier: Apache-2.0

public import SwiftletTraining

/// The training history of one step of a compression.
public struct StageHistory: Sendable, Codable, Equatable {
  /// The technique of the step.
  public let stage: String
  /// Loss and accuracy after each epoch.
  public let history: TrainingHistory

  /// Creates the history of a step.
  public init(stage: String, history: TrainingHistory) {
    self.stage = stage
    self.history = history
  }
}
