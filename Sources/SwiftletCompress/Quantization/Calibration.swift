// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime

/// What calibration has seen of a model's values: one histogram each.
///
/// Memory depends on the model alone, not on the number of samples. A calibration that was saved
/// goes on where it ended.
struct Calibration: Sendable, Codable {
  /// Digest of the model that it is of, as it is calibrated: with what settings have made of it
  /// before.
  let model: String
  /// Samples seen so far, and the digest of them.
  private(set) var samples = 0
  private(set) var data = ""
  private(set) var values: [String: ValueHistogram]
  /// Of values whose channels matter, what each channel is like.
  private(set) var channels: [String: ChannelStatistics]

  /// - Parameters:
  ///   - names: The values to look at.
  ///   - channels: Those of them whose channels matter; true where these are along the last axis.
  init(_ graph: Graph, values names: some Sequence<String>, channels: [String: Bool]) throws {
    model = Digest.sha256(try ONNXFile.encode(graph))
    values = Dictionary(uniqueKeysWithValues: names.map { ($0, ValueHistogram()) })
    self.channels = channels.mapValues { ChannelStatistics(isLast: $0) }
  }

  /// Runs the samples that it has not seen yet through the model. Elements that are NaN or
  /// infinite, as masked rows are, are left out, with a warning.
  ///
  /// - Parameter path: Where what was seen is kept now and then, and when the run is stopped.
  /// - Throws: `numerical` naming a value of which nothing is finite.
  mutating func run(
    _ graph: Graph, _ source: CalibrationSource, threads: Threads, saving path: String? = nil,
    progress: Progress.Handler? = nil
  ) throws {
    let session = try Session(graph.observing(values.keys), threads: threads)
    var unsaved = 0
    var odd = OddSamples()
    do {
      try source.forEachBatch(from: samples) { inputs, range in
        var seen: [(String, Tensor<Float>)] = []
        for (name, value) in try session.run(inputs).merging(inputs, uniquingKeysWith: { $1 }) {
          if values[name] != nil, let tensor: Tensor<Float> = value.typed() {
            seen.append((name, tensor))
          }
        }
        for (name, tensor) in seen where !tensor.isFinite { odd.add(tensor, of: name, range) }
        try add(seen, threads)
        if path != nil { data = try source.digest(range, after: data) }
        samples = range.upperBound
        unsaved += range.count
        if let path, unsaved >= Self.savingInterval {
          try save(to: path)
          unsaved = 0
        }
        try progress?(Progress("calibrate", completed: samples, total: source.count))
      }
    } catch {
      if let path { try save(to: path) }
      throw error
    }
    if let path { try save(to: path) }
    let order = graph.dataInputs.map(\.name) + graph.nodes.flatMap(\.outputs)
    if let empty = order.first(where: { values[$0]?.count == 0 && odd.names.contains($0) }) {
      throw odd.refusal(empty)
    }
    if let warning = odd.warning(of: source.count) {
      Logger.swiftlet("compress").warning("\(warning)")
    }
  }

  private mutating func add(_ seen: [(String, Tensor<Float>)], _ threads: Threads) throws {
    let (before, channelsBefore) = (values, channels)
    let added = try threads.map(seen.count) { index in
      let (name, tensor) = seen[index]
      var histogram = before[name]!
      histogram.add(tensor.isFinite ? tensor : tensor.finiteElements)
      var statistics = channelsBefore[name]
      statistics?.add(tensor)
      return (histogram, statistics)
    }
    for ((name, _), (histogram, statistics)) in zip(seen, added) {
      values[name] = histogram
      channels[name] = statistics
    }
  }

  // MARK: Files

  /// Samples between two writes of the state.
  private static let savingInterval = 1024
  /// No state of a model that can be calibrated is larger.
  private static let fileLimit = 1 << 30

  func save(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try AtomicFile.write([UInt8](encoder.encode(self)), to: path)
  }

  /// What was saved, if the file is there.
  ///
  /// - Throws: `badInput` if it is damaged, or of another model, other values of it or other
  ///   samples.
  static func load(
    _ path: String, fitting fresh: Calibration, _ source: CalibrationSource
  ) throws -> Calibration? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try locating(path) {
      let bytes = try InputFile.read(path, limit: fileLimit)
      guard let stored = try? JSONDecoder().decode(Calibration.self, from: Data(bytes)),
        stored.samples >= 0, stored.values.values.allSatisfy(\.isSound)
      else { throw SwiftletError(.badInput, "this is no state of a calibration, or it is damaged") }
      func refusal(_ what: String) -> SwiftletError {
        SwiftletError(
          .badInput, "this is the state of a calibration \(what)",
          mend: "remove the file, or give another one")
      }
      guard stored.model == fresh.model, stored.values.keys == fresh.values.keys,
        stored.channels.keys == fresh.channels.keys
      else { throw refusal("of another model, or with other settings") }
      guard stored.samples <= source.count,
        try source.digest(0..<stored.samples) == stored.data
      else { throw refusal("with other samples") }
      return stored
    }
  }
}

extension Graph {
  /// The graph with the given fp32 values as its outputs, so that a session computes them.
  fileprivate func observing(_ values: some Sequence<String>) -> Graph {
    var result = self
    let computed = Set(nodes.flatMap(\.outputs))
    let names = values.filter(computed.contains).sorted()
    // Their shapes are whatever they turn out to be.
    result.outputs = names.map { ValueInfo($0, .float32, []) }
    if names.isEmpty { return self }
    result.removeUnusedNodes()
    return result
  }
}
