// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime

/// Predicts what compression would do to a model, within seconds: builds and times models of the
/// same shapes without training or looking at data. Sizes and times are realistic; the answers of
/// these models are not.
public struct CompressionPlan: Sendable, Codable {
  /// The prediction for one recipe.
  public struct Row: Sendable, Codable {
    /// The name of the recipe; `now` for the model itself.
    public let name: String
    /// Size of the ONNX file in bytes.
    public let fileBytes: Int?
    /// Number of parameters.
    public let parameters: Int?
    /// Multiply–accumulate operations per image.
    public let macs: Int?
    /// Median milliseconds for one image on all threads, measured in alternation with the original.
    public let latencyMs: Double?
    /// Images per second at a batch of ``CompressionPlan/batch`` images, measured likewise.
    public let imagesPerSecond: Double?
    /// Number of layers that would change.
    public let changed: Int?
    /// Why figures are missing; `nil` if there are any.
    public let remark: String?
  }

  /// One row per recipe, after a first row for the model itself.
  public let rows: [Row]
  /// Values assumed for the model's symbolic extents, except for the batch.
  public let extents: [String: Int]
  /// Batch size for `imagesPerSecond`: 32, or less if a batch of 32 would take long.
  public let batch: Int

  /// The recipes to compare if none is given: each technique that can be planned without training
  /// or data, and all presets.
  public static var usual: [(name: String, recipe: Recipe)] {
    let techniques = Technique.allCases.map { ($0.rawValue, Recipe([CompressionStep($0)])) }
    let presets = Preset.allCases.map { ($0.rawValue, $0.recipe) }
    return (techniques + presets).filter { !blind($0.1).steps.isEmpty }
      .map { (name: $0.0, recipe: $0.1) }
  }

  /// Time limit per recipe in seconds if there are several; a recipe that takes longer has a remark
  /// instead of figures.
  private static let patience = 10

  /// Thrown when a recipe exceeds the time limit.
  private struct TooLong: Error {}

  /// Builds and times the models.
  ///
  /// - Parameters:
  ///   - graph: The model.
  ///   - recipes: The recipes to compare, with names.
  ///   - threads: Threads to compute with.
  ///   - latencies: Layer timings measured so far.
  ///   - given: Values for symbolic extents, by name; others are guessed from their names.
  ///   - progress: Called as work proceeds; throws to cancel.
  ///
  /// - Throws: `badInput` if the model is invalid. The failure of a single recipe, or an operator
  ///   that the runtime does not support, is a remark in its row.
  public init(
    _ graph: Graph, _ recipes: [(name: String, recipe: Recipe)], threads: Threads = .available,
    latencies: LatencyCache = LatencyCache(), extents given: [String: Int] = [:],
    progress: Progress.Handler? = nil
  ) throws {
    let graph = graph.foldingWeights()
    let now: Row
    var graphs: [Graph] = []
    var open = OpenExtents(graph.dataInputs, batch: 1, given: given)
    do {
      open = try Interpreter(graph).openExtents(batch: 1, given: given)
      now = try Self.row("now", graph, open, changed: nil)
      graphs.append(graph)
    } catch let error as SwiftletError where error.code == .unsupported {
      (extents, batch) = (open.numbers, 1)
      rows = [
        Row(
          name: "now", fileBytes: try ONNXFile.encode(graph).count,
          parameters: graph.parameterCount, macs: nil, latencyMs: nil, imagesPerSecond: nil,
          changed: nil, remark: "cannot be run here: \(error.what)")
      ]
      return
    }
    extents = open.numbers
    var rows = [now]
    for (name, recipe) in recipes {
      try progress?(Progress("plan", completed: rows.count, total: recipes.count + 1, remark: name))
      let end = ContinuousClock.now.advanced(by: .seconds(Self.patience))
      let isHurried = recipes.count > 1
      let impatient: Progress.Handler = { step in
        try progress?(step)
        if isHurried && ContinuousClock.now > end { throw TooLong() }
      }
      do {
        let context = CompressionContext(
          original: graph, samples: try Self.samples(graph, extents), threads: threads,
          latencies: latencies, progress: impatient)
        let made = try Compressor(context).apply(Self.blind(recipe))
        rows.append(
          try Self.row(name, made.graph, open, changed: made.layers.count { $0.changed }))
        graphs.append(made.graph)
      } catch let error as SwiftletError where error.code != .internal {
        rows.append(
          Row(
            name: name, fileBytes: nil, parameters: nil, macs: nil, latencyMs: nil,
            imagesPerSecond: nil, changed: nil, remark: error.what))
      } catch is TooLong {
        rows.append(
          Row(
            name: name, fileBytes: nil, parameters: nil, macs: nil, latencyMs: nil,
            imagesPerSecond: nil, changed: nil,
            remark: "takes more than \(Self.patience) s here: plan it alone with --recipe"))
      }
    }
    (self.rows, batch) = try Self.timed(rows, graphs, extents, threads, progress)
  }

  private static func row(
    _ name: String, _ graph: Graph, _ extents: OpenExtents, changed: Int?
  ) throws -> Row {
    let cost = try ModelCost(graph, extents: extents)
    return Row(
      name: name, fileBytes: cost.fileBytes, parameters: cost.parameters, macs: cost.macs,
      latencyMs: nil, imagesPerSecond: nil, changed: changed, remark: nil)
  }

  /// The recipe without training and without looking at data.
  private static func blind(_ recipe: Recipe) -> Recipe {
    Recipe(
      recipe.steps.compactMap { $0.hasty(samples: samples) })
  }

  /// Number of random samples. Few are enough, as answers do not matter here and slow models take
  /// time.
  private static let samples = 2

  private static func samples(
    _ graph: Graph, _ extents: [String: Int]
  ) throws -> [String: AnyTensor] {
    var generator = RandomGenerator(seed: 1)
    let open = OpenExtents(graph.dataInputs, batch: samples, given: extents)
    return try Dictionary(
      uniqueKeysWithValues: graph.dataInputs.map { input in
        let shape = try open.shape(of: input)
        let numbers = Tensor<Float>(shape, normalUsing: &generator)
        guard !input.dtype.isFloat else {
          return (input.name, AnyTensor(numbers).converted(to: input.dtype))
        }
        // Indices stay below the length of the table they index; masks are all 1.
        let length = graph.tableLength(of: input.name).map(Float.init)
        let values = numbers.map { number in
          guard let length else { return 1 as Float }
          return min((abs(number) / 4 * length).rounded(.down), length - 1)
        }
        return (input.name, AnyTensor(values).converted(to: input.dtype))
      })
  }

  private static func timed(
    _ rows: [Row], _ graphs: [Graph], _ extents: [String: Int], _ threads: Threads,
    _ progress: Progress.Handler?
  ) throws -> (rows: [Row], batch: Int) {
    func candidates(_ sessions: [Session], _ batch: Int) throws -> [Benchmark.Candidate] {
      try sessions.map {
        try Benchmark.Candidate($0, batch: batch, threads: threads.count, extents: extents)
      }
    }
    var (singles, batches) = ([Benchmark.Candidate](), [Benchmark.Candidate]())
    var batch = 1
    do {
      let sessions = try graphs.map { try Session($0, threads: threads) }
      singles = try candidates(sessions, 1)
      let one = try Benchmark.run([singles[0]], seconds: 0, progress: progress)[0].p50ms / 1e3
      batch = SpeedCells.batch(upTo: SpeedCells.largestBatch, of: one)
      if batch > 1 { batches = try candidates(sessions, batch) }
    } catch let error as SwiftletError where error.code == .unsupported {
      // With several inputs or a fixed batch, there is no time per image.
      return (rows, batch)
    }
    let results = try Benchmark.run(singles + batches, seconds: 0.3, progress: progress)
    var index = 0
    let timed = rows.map { row in
      guard row.fileBytes != nil else { return row }
      defer { index += 1 }
      return Row(
        name: row.name, fileBytes: row.fileBytes, parameters: row.parameters, macs: row.macs,
        latencyMs: results[index].p50ms,
        imagesPerSecond: results[batch > 1 ? graphs.count + index : index].imagesPerSecond,
        changed: row.changed, remark: row.remark)
    }
    return (timed, batch)
  }
}

extension Graph {
  /// The length of the shortest constant table that a value indexes, directly or after operators
  /// that only move elements.
  fileprivate func tableLength(of value: String) -> Int? {
    var names: Set<String> = [value]
    var lengths: [Int] = []
    for node in nodes {
      switch node.opType {
      case "Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose":
        if names.contains(node.inputs[0]) { names.formUnion(node.outputs) }
      case "Gather":
        guard node.inputs.count > 1, names.contains(node.inputs[1]),
          let table = initializers[node.inputs[0]], table.shape.rank > 0
        else { continue }
        let axis = (try? node.int("axis", default: 0)) ?? 0
        let place = axis < 0 ? axis + table.shape.rank : axis
        if 0..<table.shape.rank ~= place { lengths.append(table.shape[place]) }
      default: break
      }
    }
    return lengths.min().flatMap { $0 > 0 ? $0 : nil }
  }
}

extension OpenExtents {
  fileprivate var numbers: [String: Int] {
    Dictionary(uniqueKeysWithValues: values.map { ($0.key, $0.value) })
  }
}
