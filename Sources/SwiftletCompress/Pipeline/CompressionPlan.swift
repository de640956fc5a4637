// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
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
    /// Of one image, on all threads, in turns with the model as it is.
    public let latencyMs: Double?
    /// Of ``CompressionPlan/batch`` images, likewise.
    public let imagesPerSecond: Double?
    /// Layers that would be changed.
    public let changed: Int?
    /// Why there are no figures.
    public let remark: String?
  }

  /// The model as it is first.
  public let rows: [Row]
  /// What extents that the model leaves open were taken for, but for the batch.
  public let extents: [String: Int]
  /// The images that are run at once for `imagesPerSecond`: 32, or fewer where these would take
  /// long.
  public let batch: Int

  /// Without a recipe of one's own.
  public static var usual: [(name: String, recipe: Recipe)] {
    [
      ("svd", Recipe([CompressionStep(.svd)])),
      ("lowrank", Recipe([CompressionStep(.lowrank)])),
      ("quantize", Recipe([CompressionStep(.quantize)])),
    ] + Preset.allCases.map { ($0.rawValue, $0.recipe) }
  }

  /// Of several recipes, seconds for each of them: what takes longer is said, and left to be asked
  /// for alone.
  private static let patience = 10

  private struct TooLong: Error {}

  /// `extents` are those that the model leaves open, by name; others are what they seem to mean.
  ///
  /// - Throws: `badInput` if the model cannot be read at all; what only one recipe fails at is in
  ///   its row, and so is what the runtime does not support.
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
            remark: "takes more than \(Self.patience) s here: plan it alone, as --recipe"))
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

  /// The recipe without all that looks at data or trains.
  private static func blind(_ recipe: Recipe) -> Recipe {
    Recipe(
      recipe.steps.compactMap { $0.hasty(samples: samples) })
  }

  /// What the answers would be does not matter here, and each one of a slow model takes its time.
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
        // Indices below the length of the table that they are for; masks let everything through.
        let length = graph.tableLength(of: input.name).map(Float.init)
        let values = numbers.map { number in
          guard let length else { return 1 as Float }
          return min((abs(number) / 4 * length).rounded(.down), length - 1)
        }
        return (input.name, AnyTensor(values).converted(to: input.dtype))
      })
  }

  /// The most images run at once, and the seconds that one such run may take.
  private static let (largestBatch, longestRun) = (32, 0.3)

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
      while batch < largestBatch, Double(batch * 2) * one <= longestRun { batch *= 2 }
      if batch > 1 { batches = try candidates(sessions, batch) }
    } catch let error as SwiftletError where error.code == .unsupported {
      // Several inputs, or a batch that is fixed: there is nothing to time by images.
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
  /// The length of the shortest constant table that a value looks up in, as it is or moved.
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
