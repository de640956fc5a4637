// SPDX-License-Identifier: Apache-2.0

public import SwiftletTraining

/// The training that one step of a compression did.
public struct StageHistory: Sendable, Codable, Equatable {
  /// Such as `distill`, or `quantize, trained`.
  public let stage: String
  public let history: TrainingHistory

  public init(stage: String, history: TrainingHistory) {
    self.stage = stage
    self.history = history
  }
}
