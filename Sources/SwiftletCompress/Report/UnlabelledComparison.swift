// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
public import SwiftletGraph
import SwiftletRuntime

/// Compares several models with the first one without labels: answers, size and speed. See
/// ``ComparisonReport`` for labelled data.
public struct UnlabelledComparison: Sendable, Codable {
  /// One model.
  public struct Model: Sendable, Codable {
    /// A short name, unique in the comparison.
    public let name: String
    /// The path of its file.
    public let path: String
    /// Agreement of its answers with the first model's, in comparisons of reports with its own
    /// original's; `nil` for the first model, and if they were not compared.
    public let agreement: Agreement?
    /// Comparison with the first model by a metric; `nil` if none was chosen.
    public internal(set) var metric: MetricReport?
    /// Size of the ONNX file in bytes.
    public let fileBytes: Int
    /// Number of parameters.
    public let parameters: Int
    /// Multiply–accumulate operations per sample; `nil` if shapes depend on data.
    public let macs: Int?
    /// Speeds by threads and batch size.
    public let speeds: [ComparisonReport.Speed]
    /// Whether no other model is both faster and closer to the first one.
    public internal(set) var isOnFront = false

    init(
      name: String, path: String, agreement: Agreement?,
      cost: (fileBytes: Int, parameters: Int, macs: Int?), speeds: [ComparisonReport.Speed]
    ) {
      (self.name, self.path, self.agreement, self.speeds) = (name, path, agreement, speeds)
      (fileBytes, parameters, macs) = cost
    }
  }

  /// The data set that the models ran on, if known.
  public let data: String?
  /// Number of samples that answers were compared on.
  public let samples: Int
  /// The CPU and the software running on it.
  public let machine: String?
  /// Whether all models were timed in alternation; if not, each was timed with its original only.
  public let isOneRun: Bool
  /// Number of pictures left out because they cannot be decoded; `nil`: they were not looked for.
  public var damaged: Int?
  /// The models; the first one is the reference.
  public let models: [Model]

  private init(
    data: String?, samples: Int, machine: String?, isOneRun: Bool, models: [Model]
  ) {
    (self.data, self.samples, self.machine) = (data, samples, machine)
    self.isOneRun = isOneRun
    var models = models
    let front = ParetoFront.indices(
      models.enumerated().map { index, model in
        (
          model.speeds.last?.milliseconds ?? .infinity,
          index == 0 ? SignalToNoise.limit : model.agreement?.decibels ?? -.infinity
        )
      })
    for index in front { models[index].isOnFront = true }
    self.models = models
  }

  /// Compares the answers of all models with those of the first one for the same samples, and times
  /// all models in alternation.
  ///
  /// - Parameters:
  ///   - models: Paths and graphs; the first model is the reference.
  ///   - data: The samples; labels are ignored.
  ///   - fixed: Inputs that have the same value in every run, by name.
  ///   - outputs: Names of the outputs to compare; empty: all of the first model.
  ///   - threads: Threads to run the models with; speeds are measured on one thread and on all.
  ///   - batches: Batch sizes to time, if there are as many samples and no model fixes its batch.
  ///   - seconds: Time to spend on each model, batch size and number of threads.
  ///   - machine: The CPU and the software running on it, for the report.
  ///   - metric: Judges the models too; `nil`: answers are only compared.
  ///   - progress: Called as work proceeds; throws to cancel.
  /// - Precondition: There is at least one model.
  /// - Throws: `badInput` if samples do not fit a model, or a model lacks an output of the first
  ///   one; `unsupported` if two models take different fixed numbers of samples at once; the errors
  ///   of running a session.
  public static func measure(
    _ models: [(path: String, graph: Graph)], on data: ImageDataset,
    fixed: [String: FixedInput] = [:], outputs: [String] = [], threads: Threads = .available,
    batches: [Int] = [1, 32], seconds: Double = 0.5, machine: String? = nil,
    metric: Metric? = nil, progress: Progress.Handler? = nil
  ) throws -> UnlabelledComparison {
    precondition(!models.isEmpty, "there is no model to compare with")
    let sources = try models.map { path, graph in
      try locating(path) {
        var source = try CalibrationSource(data, for: graph, fixed: fixed, threads: threads)
        source.outputs = outputs
        return source
      }
    }
    // Operations depend on extents that the samples determine.
    let graphs = try zip(models, sources).map { model, source in
      var graph = model.graph
      graph.extents.merge(try source.extents(of: graph)) { given, _ in given }
      return graph
    }
    let isRaw = if case .arrays = data.pixels { true } else { false }
    let agreements = try graphs.indices.dropFirst().map { index in
      // Models that take the same arrays read them once.
      let isShared = isRaw && graphs[0].dataInputs == graphs[index].dataInputs
      return try locating(models[index].path) {
        try Agreement.measure(
          graphs[0], graphs[index], sources[0], otherSource: isShared ? nil : sources[index],
          threads: threads, progress: progress)
      }
    }
    let metrics = try metric.map { metric in
      try Judge.compare(
        zip(models, graphs).map { ($0.path, $1) }, by: metric, on: data, fixed: fixed,
        outputs: outputs, threads: threads, progress: progress)
    }
    let results = try SpeedCells(sources, upTo: threads.count, batches: batches).measure(
      graphs, seconds: seconds, progress: progress)
    let names = ComparisonReport.names(models.map(\.path))
    let rows = try graphs.indices.map { index in
      let graph = graphs[index]
      let bytes = try ComparisonReport.fileBytes(models[index].path, graph)
      var model = Model(
        name: names[index], path: models[index].path,
        agreement: index == 0 ? nil : agreements[index - 1],
        cost: (
          bytes, graph.parameterCount, try? ModelCost(graph, fileBytes: bytes).macs
        ),
        speeds: results[index].map { ComparisonReport.Speed($0) })
      model.metric = metrics?[index]
      return model
    }
    return UnlabelledComparison(
      data: data.name, samples: agreements.map(\.samples).min() ?? sources[0].count,
      machine: machine, isOneRun: true, models: rows)
  }

  /// Compares the results of several compressions, from their reports.
  ///
  /// - Precondition: There is at least one report.
  public init(_ reports: [UnlabelledReport]) {
    precondition(!reports.isEmpty, "there is no report")
    func model(
      _ name: String, _ path: String, _ side: UnlabelledResult.Side, _ report: UnlabelledReport,
      _ agreement: Agreement?, _ time: (SpeedRow) -> Double
    ) -> Model {
      Model(
        name: name, path: path, agreement: agreement,
        cost: (side.fileBytes, side.parameters, side.macs),
        speeds: report.allSpeeds.map { ComparisonReport.Speed($0, time) })
    }
    let dense = model(
      "dense", reports[0].model, reports[0].before, reports[0], nil, \.millisecondsBefore)
    self.init(
      data: nil, samples: reports.compactMap { $0.agreement?.samples }.min() ?? 0,
      machine: reports[0].machine, isOneRun: false,
      models: [dense]
        + reports.map {
          var row = model(
            $0.recipe.techniques, $0.output, $0.after, $0, $0.agreement, \.millisecondsAfter)
          row.metric = $0.metric
          return row
        })
  }
}
