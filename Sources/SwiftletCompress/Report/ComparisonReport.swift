// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// Compares several models with the first one: accuracy, size and speed.
public struct ComparisonReport: Sendable, Codable {
  /// The speed of a model with some threads and batch size.
  public struct Speed: Sendable, Codable, Equatable {
    /// Number of threads.
    public let threads: Int
    /// Batch size.
    public let batch: Int
    /// Median milliseconds per batch.
    public let milliseconds: Double
    /// Images per second, from the median.
    public let imagesPerSecond: Double

    private init(threads: Int, batch: Int, milliseconds: Double) {
      self.threads = threads
      self.batch = batch
      self.milliseconds = milliseconds
      imagesPerSecond = Double(batch) / milliseconds * 1e3
    }

    init(_ result: BenchmarkResult) {
      self.init(threads: result.threads, batch: result.batch, milliseconds: result.p50ms)
    }

    /// One side of a row.
    init(_ row: SpeedRow, _ time: (SpeedRow) -> Double) {
      self.init(threads: row.threads, batch: row.batch, milliseconds: time(row))
    }
  }

  /// One model.
  public struct Model: Sendable, Codable {
    /// A short name, unique in the report.
    public let name: String
    /// The path of its file.
    public let path: String
    /// Top-1 accuracy, 0 to 1.
    public let top1: Double
    /// Lower bound of the 95 % confidence interval of the accuracy (Wilson).
    public let top1Low: Double?
    /// Upper bound of that interval.
    public let top1High: Double?
    /// Comparison with the first model on the same images; `nil` for the first model.
    public let paired: PairedTest?
    /// Fraction of images for which it chooses the same class as the first model; `nil` for the
    /// first model and in comparisons of reports.
    public let agreement: Double?
    /// Comparison with the first model by a metric; `nil` if none was chosen.
    public internal(set) var metric: MetricReport?
    /// A warning if its answers are no better than guessing.
    public let warning: String?
    /// Size of the ONNX file in bytes.
    public let fileBytes: Int
    /// Number of parameters.
    public let parameters: Int
    /// Multiply–accumulate operations per image.
    public let macs: Int
    /// Speeds by threads and batch size, in the same order for all models.
    public let speeds: [Speed]
    /// Whether no other model is both faster and more accurate.
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

  /// The data set that accuracies were measured on, if known.
  public let data: String?
  /// Number of images that accuracies were measured on.
  public let images: Int
  /// The CPU and the software running on it.
  public let machine: String?
  /// Whether all models were timed in alternation; if not, each was timed with its original only.
  public let isOneRun: Bool
  /// Number of pictures left out because they cannot be decoded; `nil`: they were not looked for.
  public var damaged: Int?
  /// The models; the first one is the reference.
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

  /// Evaluates all models on the same images, and times them in alternation.
  ///
  /// - Parameters:
  ///   - models: Paths and graphs; the first model is the reference.
  ///   - data: Labelled images.
  ///   - threads: Threads to evaluate with; speeds are measured on one thread and on all.
  ///   - batches: Batch sizes to time.
  ///   - seconds: Time to spend on each model, batch size and number of threads.
  ///   - machine: The CPU and the software running on it, for the report.
  ///   - output: The output with the scores; `nil`: the only one that can hold them.
  ///   - metric: Judges the models too; `nil`: by accuracy alone.
  ///   - progress: Called as work proceeds; throws to cancel.
  /// - Precondition: There is at least one model.
  /// - Throws: `badInput` if images do not fit a model; the errors of the metric and of running a
  ///   session.
  public static func measure(
    _ models: [(path: String, graph: Graph)], on data: ImageDataset,
    threads: Threads = .available, batches: [Int] = [1, 32], seconds: Double = 0.5,
    machine: String? = nil, output: String? = nil, metric: Metric? = nil,
    progress: Progress.Handler? = nil
  ) throws -> ComparisonReport {
    precondition(!models.isEmpty, "there is no model to compare with")
    // Models are timed with the same image size as they are evaluated with.
    let models = try models.map { path, graph in
      var graph = graph
      try locating(path) {
        let extents = try InputFeed(data, for: graph).extents(of: graph)
        graph.extents.merge(extents) { given, _ in given }
      }
      return (path: path, graph: graph)
    }
    let judgements = try models.map { path, graph in
      try locating(path) {
        try Evaluation.judge(
          graph, on: data, threads: threads, output: output, progress: progress)
      }
    }
    let metrics = try metric.map { metric in
      try Judge.compare(
        models, by: metric, on: data, outputs: output.map { [$0] } ?? [], threads: threads,
        progress: progress)
    }
    let results = try SpeedCells(upTo: threads.count, batches: batches).measure(
      models.map(\.graph), seconds: seconds, progress: progress)
    let (hits, choices) = (judgements[0].hits, judgements[0].choices)
    let names = names(models.map(\.path))
    let rows = try models.indices.map { index in
      let (path, graph) = models[index]
      let cost = try ModelCost(graph, fileBytes: Self.fileBytes(path, graph))
      let equal = zip(choices, judgements[index].choices).count { $0 == $1 }
      var model = Model(
        name: names[index], path: path, top1: judgements[index].evaluation.top1,
        images: data.count,
        paired: index == 0
          ? nil : PairedTest(hits, judgements[index].hits, choices: choices),
        agreement: index == 0 ? nil : Double(equal) / Double(max(1, data.count)),
        warning: GuessTest(
          hits: judgements[index].hits.count { $0 }, choices: judgements[index].choices,
          labels: data.labels, classes: data.classCount
        ).warning,
        cost: (cost.fileBytes, cost.parameters, cost.macs),
        speeds: results[index].map { Speed($0) })
      model.metric = metrics?[index]
      return model
    }
    return ComparisonReport(
      data: data.name, images: data.count, machine: machine, isOneRun: true, models: rows)
  }

  /// Compares the results of several compressions, from their reports.
  ///
  /// - Precondition: There is at least one report.
  public init(_ reports: [CompressionReport]) {
    precondition(!reports.isEmpty, "there is no report")
    func model(
      _ name: String, _ path: String, _ side: CompressionReport.Side, _ report: CompressionReport,
      _ paired: PairedTest?, _ time: (SpeedRow) -> Double
    ) -> Model {
      Model(
        name: name, path: path, top1: side.top1, images: report.images, paired: paired,
        agreement: nil, cost: (side.fileBytes, side.parameters, side.macs),
        speeds: report.allSpeeds.map { Speed($0, time) })
    }
    let dense = model(
      "dense", reports[0].model, reports[0].before, reports[0], nil, \.millisecondsBefore)
    self.init(
      data: nil, images: reports[0].images, machine: reports[0].machine, isOneRun: false,
      models: [dense]
        + reports.map {
          var row = model(
            $0.techniques.map(\.rawValue).joined(separator: ", "), $0.output, $0.after, $0,
            $0.paired, \.millisecondsAfter)
          row.metric = $0.metric
          return row
        })
  }

  /// The size of a model's file, or of the file it would be written to if there is none.
  static func fileBytes(_ path: String, _ graph: Graph) throws -> Int {
    try (try? ONNXFile.byteCount(path)) ?? ONNXFile.encode(graph).count
  }

  /// File names without folders and extension; whole paths if those are not unique.
  static func names(_ paths: [String]) -> [String] {
    let stems = paths.map { path in
      let name = CompressionReport.name(path)
      return name.hasSuffix(".onnx") ? String(name.dropLast(5)) : name
    }
    return Set(stems).count == stems.count ? stems : paths
  }
}
