// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import SwiftletCharts

/// The results of each epoch of a training run.
public struct TrainingHistory: Sendable, Codable, Equatable {
  /// What one epoch reached.
  public struct Epoch: Sendable, Codable, Equatable {
    /// Its number, from 1.
    public let epoch: Int
    /// Mean loss over the training images, as seen while training.
    public let trainingLoss: Double
    /// The fraction of training images classified correctly during training.
    public let trainingTop1: Double
    /// Mean loss over the validation images after the epoch.
    public let validationLoss: Double
    /// Fraction of validation images classified rightly after the epoch.
    public let validationTop1: Double
    /// The rate of the last update.
    public let learningRate: Double
    /// Seconds of training, without the validation; since the run was resumed, if in this epoch.
    public let seconds: Double
    /// Training images per second, in ``seconds``.
    public let imagesPerSecond: Double
  }

  /// The epochs, in their order.
  public var epochs: [Epoch] = []

  /// A history without epochs.
  public init() {}

  /// This history as JSON text.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }

  /// A chart of loss and accuracy over the epochs, as SVG.
  public func svg(title: String) -> String { LineChart.svg(title: title, panels: panels) }

  /// Loss and accuracy over the epochs.
  package var panels: [LineChart.Panel] {
    let x = epochs.map { Double($0.epoch) }
    var loss = LineChart.Panel(
      title: "loss",
      lines: [
        .init("training", x, epochs.map(\.trainingLoss)),
        .init("validation", x, epochs.map(\.validationLoss)),
      ])
    var top1 = LineChart.Panel(
      title: "top-1",
      lines: [
        .init("training", x, epochs.map(\.trainingTop1)),
        .init("validation", x, epochs.map(\.validationTop1)),
      ])
    (loss.xLabel, top1.xLabel) = ("epoch", "epoch")
    return [loss, top1]
  }
}
