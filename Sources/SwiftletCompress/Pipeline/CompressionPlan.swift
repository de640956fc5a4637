public import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime

/// What compression would make of a model, in seconds: models of the same shapes are made without
/// looking at data or training anything, and timed. Only what they answer is worth nothing.
public struct CompressionPlan: Sendable, Codable {
  /// What one recipe would come to.
  public struct Row: Sendable, Codable {
    public let name: String
    public let fileBytes: Int?
    public let parameters: Int?
    public let macs: Int?
    /// Of one image, and of a batch of 32, on all threads, in turns with the model as it is.
    public let latencyMs: Double?
    public let imagesPerSecond: Double?
    /// Layers that would be changed.
    public let changed: Int?
    /// Why there are no figures.
    public let remark: String?
  }

  /// The model as it is first.
  public let rows: [Row]

  /// Without a recipe of one's own.
  public static var usual: [(name: String, recipe: Recipe)] {
    [
      ("svd", Recipe([CompressionStep(.svd)])),
      ("lowrank", Recipe([CompressionStep(.lowrank)])),
      ("quantize", Recipe([CompressionStep(.quantize)])),
    ] + Preset.allCases.map { ($0.rawValue, $0.recipe) }
  }

  /// - Throws: `badInput` if the model cannot be read at all; what only one recipe fails at is in its
  ///   row, and so is what the runtime does not support.
  public init(
    _ graph: Graph, _ recipes: [(name: String, recipe: Recipe)], threads: ThreadPool = .available,
    latencies: LatencyCache = LatencyCache(), progress: Progress.Handler? = nil
  ) throws {
    let now: Row
    var graphs: [Graph] = []
    do {
      _ = try Plan(graph)
      now = try Self.row("now", graph, changed: nil)
      graphs.append(graph)
    } catch let error as SwiftletError where error.code == .unsupported {
      rows = [
        Row(
          name: "now", fileBytes: try ONNXFile.serialized(graph).count,
          parameters: graph.parameterCount, macs: nil, latencyMs: nil, imagesPerSecond: nil,
          changed: nil, remark: "cannot be run here: \(error.what)")
      ]
      return
    }
    var rows = [now]
    for (name, recipe) in recipes {
      try progress?(Progress("plan", completed: rows.count, total: recipes.count + 1, remark: name))
      do {
        let context = CompressionContext(
          original: graph, samples: try Self.samples(graph), threads: threads,
          latencies: latencies, progress: progress)
        let made = try Compressor(context).apply(Self.blind(recipe))
        rows.append(try Self.row(name, made.graph, changed: made.layers.count { $0.changed }))
        graphs.append(made.graph)
      } catch let error as SwiftletError where error.code != .internal {
        rows.append(
          Row(
            name: name, fileBytes: nil, parameters: nil, macs: nil, latencyMs: nil,
            imagesPerSecond: nil, changed: nil, remark: error.what))
      }
    }
    self.rows = try Self.timed(rows, graphs, threads, progress)
  }

  private static func row(_ name: String, _ graph: Graph, changed: Int?) throws -> Row {
    let cost = try ModelCost(graph)
    return Row(
      name: name, fileBytes: cost.fileBytes, parameters: cost.parameters, macs: cost.macs,
      latencyMs: nil, imagesPerSecond: nil, changed: changed, remark: nil)
  }

  /// The recipe without all that looks at data or trains.
  private static func blind(_ recipe: Recipe) -> Recipe {
    Recipe(
      recipe.steps.compactMap { step in
        guard step.technique != .distill else { return nil }
        var step = step
        step.decomposition.dataAware = false
        // The method that takes no time to prepare; the others are chosen where they are faster.
        step.decomposition.methods = [.channel]
        step.decomposition.precisions = nil
        step.calibrationImages = samples
        step.quantization.qatEpochs = 0
        step.quantization.mixedDrop = nil
        step.quantization.rounding = .nearest
        return step
      })
  }

  private static let samples = 8

  private static func samples(_ graph: Graph) throws -> [String: AnyTensor] {
    var generator = RandomGenerator(seed: 1)
    return try Dictionary(
      uniqueKeysWithValues: graph.dataInputs.map { input in
        guard input.dtype == .float32 else {
          throw SwiftletError(
            .unsupported, "input '\(input.name)' is \(input.dtype): random ones make no sense")
        }
        return (
          input.name,
          AnyTensor(Tensor<Float>(try input.shape(batch: samples), normalUsing: &generator))
        )
      })
  }

  private static func timed(
    _ rows: [Row], _ graphs: [Graph], _ threads: ThreadPool, _ progress: Progress.Handler?
  ) throws -> [Row] {
    let candidates: [Benchmark.Candidate]
    do {
      candidates = try graphs.flatMap { graph in
        let session = try Session(graph, threads: threads)
        return try [1, 32].map {
          try Benchmark.Candidate(session, batch: $0, threads: threads.count)
        }
      }
    } catch let error as SwiftletError where error.code == .unsupported {
      // Several inputs, or a batch that is fixed: there is nothing to time by images.
      return rows
    }
    let results = try Benchmark.run(candidates, seconds: 0.3, progress: progress)
    var index = 0
    return rows.map { row in
      guard row.fileBytes != nil else { return row }
      defer { index += 2 }
      return Row(
        name: row.name, fileBytes: row.fileBytes, parameters: row.parameters, macs: row.macs,
        latencyMs: results[index].p50ms, imagesPerSecond: results[index + 1].imagesPerSecond,
        changed: row.changed, remark: row.remark)
    }
  }
}
