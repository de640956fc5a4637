// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
public import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// Several models beside the first one: how often they are right, what they weigh, how fast they
/// are.
public struct ComparisonReport: Sendable, Codable {
  public struct Speed: Sendable, Codable, Equatable {
    public let threads: Int
    public let batch: Int
    /// Median of a run of the whole batch.
    public let milliseconds: Double
    public let imagesPerSecond: Double

    init(threads: Int, batch: Int, milliseconds: Double) {
      self.threads = threads
      self.batch = batch
      self.milliseconds = milliseconds
      imagesPerSecond = Double(batch) / milliseconds * 1e3
    }
  }

  public struct Model: Sendable, Codable {
    public let name: String
    public let path: String
    public let top1: Double
    /// Where the accuracy on all images of the kind lies, with 95 % confidence (Wilson).
    public let top1Low: Double?
    public let top1High: Double?
    /// Against the first model, on the same images; missing for the first itself.
    public let paired: PairedTest?
    /// The share of the images for which the first model chooses the same class.
    public let agreement: Double?
    /// Why its answers are no better than guesses, if so.
    public let warning: String?
    public let fileBytes: Int
    public let parameters: Int
    public let macs: Int
    public let speeds: [Speed]
    /// Whether no other model is at once faster and more often right.
    public internal(set) var isOnFront = false

    init(
      name: String, path: String, top1: Double, images: Int, paired: PairedTest?,
      agreement: Double?, warning: String? = nil,
      cost: (fileBytes: Int, parameters: Int, macs: Int), speeds: [Speed]
    ) {
      self.name = name
      self.path = path
      self.top1 = top1
      let interval = WilsonInterval(top1: top1, images: images)
      (top1Low, top1High) = (interval?.low, interval?.high)
      self.paired = paired
      self.agreement = agreement
      self.warning = warning
      (fileBytes, parameters, macs) = cost
      self.speeds = speeds
    }
  }

  /// What the accuracies were measured on, where that is known.
  public let data: String?
  public let images: Int
  public let machine: String?
  /// Whether all models took turns in one run; else each one took turns with the first alone.
  public let isOneRun: Bool
  /// The one to compare with comes first.
  public let models: [Model]

  private init(
    data: String?, images: Int, machine: String?, isOneRun: Bool, models: [Model]
  ) {
    self.data = data
    self.images = images
    self.machine = machine
    self.isOneRun = isOneRun
    var models = models
    let front = ParetoFront.indices(
      models.map { ($0.speeds.last?.milliseconds ?? .infinity, $0.top1) })
    for index in front { models[index].isOnFront = true }
    self.models = models
  }

  /// Judges all models on the same images, and times them in turns in one run.
  ///
  /// `models`: The one to compare with comes first.
  /// `threads`: All of them judge; times are taken on one and on all.
  /// `seconds`: Time to spend on each model, batch and number of threads.
  /// `output`: The output with the scores; `nil`: the one that can hold them.
  /// - Precondition: At least one model.
  public static func measure(
    _ models: [(path: String, graph: Graph)], on data: ImageDataset,
    threads: Threads = .available, batches: [Int] = [1, 32], seconds: Double = 0.5,
    machine: String? = nil, output: String? = nil, progress: Progress.Handler? = nil
  ) throws -> ComparisonReport {
    precondition(!models.isEmpty, "there is no model to compare with")
    // Timed as they are judged: with images of this size.
    let models = try models.map { path, graph in
      var graph = graph
      try locating(path) {
        let preprocessing = try Preprocessing.stored(in: graph, images: data)
        graph.extents.merge(preprocessing.extents(of: graph)) { given, _ in given }
      }
      return (path: path, graph: graph)
    }
    let judgements = try models.map { path, graph in
      try locating(path) {
        try Evaluation.judge(
          graph, on: data, threads: threads, output: output, progress: progress)
      }
    }
    let results = try SpeedCells.measure(
      models.map(\.graph), threads: SpeedCells.threads(upTo: threads.count), batches: batches,
      seconds: seconds, progress: progress)
    let (hits, choices) = (judgements[0].hits, judgements[0].choices)
    let names = names(models.map(\.path))
    let rows = try models.indices.map { index in
      let (path, graph) = models[index]
      let cost = try ModelCost(graph)
      let equal = zip(choices, judgements[index].choices).count { $0 == $1 }
      return Model(
        name: names[index], path: path, top1: judgements[index].evaluation.top1,
        images: data.count, paired: index == 0 ? nil : PairedTest(hits, judgements[index].hits),
        agreement: index == 0 ? nil : Double(equal) / Double(max(1, data.count)),
        warning: GuessTest(
          hits: judgements[index].hits.count { $0 }, choices: judgements[index].choices,
          labels: data.labels, classes: data.classCount
        ).warning,
        cost: (cost.fileBytes, cost.parameters, cost.macs),
        speeds: results[index].map {
          Speed(threads: $0.threads, batch: $0.batch, milliseconds: $0.p50ms)
        })
    }
    return ComparisonReport(
      data: data.name, images: data.count, machine: machine, isOneRun: true, models: rows)
  }

  /// Puts side by side what several compressions have reported.
  ///
  /// - Precondition: At least one report.
  public init(_ reports: [CompressionReport]) {
    precondition(!reports.isEmpty, "there is no report")
    func model(
      _ name: String, _ path: String, _ side: CompressionReport.Side, _ report: CompressionReport,
      _ paired: PairedTest?, _ time: (SpeedRow) -> Double
    ) -> Model {
      Model(
        name: name, path: path, top1: side.top1, images: report.images, paired: paired,
        agreement: nil, cost: (side.fileBytes, side.parameters, side.macs),
        speeds: report.allSpeeds.map {
          Speed(threads: $0.threads, batch: $0.batch, milliseconds: time($0))
        })
    }
    let dense = model(
      "dense", reports[0].model, reports[0].before, reports[0], nil, \.millisecondsBefore)
    self.init(
      data: nil, images: reports[0].images, machine: reports[0].machine, isOneRun: false,
      models: [dense]
        + reports.map {
          model(
            $0.techniques.map(\.rawValue).joined(separator: ", "), $0.output, $0.after, $0,
            $0.paired, \.millisecondsAfter)
        })
  }

  /// The files' names without folders and extension; whole paths where those would be the same.
  private static func names(_ paths: [String]) -> [String] {
    let stems = paths.map { path in
      let name = CompressionReport.name(path)
      return name.hasSuffix(".onnx") ? String(name.dropLast(5)) : name
    }
    return Set(stems).count == stems.count ? stems : paths
  }
}
