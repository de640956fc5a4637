import FoundationEssentials
package import SwiftletCharts

/// The results of each epoch of a training run.
public struct TrainingHistory: Sendable, Codable, Equatable {
  public struct Epoch: Sendable, Codable, Equatable {
    public let epoch: Int
    public let trainingLoss: Double
    /// The fraction of training images classified correctly during training.
    public let trainingTop1: Double
    public let validationLoss: Double
    public let validationTop1: Double
    public let learningRate: Double
    public let seconds: Double
    public let imagesPerSecond: Double
  }

  public var epochs: [Epoch] = []

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
