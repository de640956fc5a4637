// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime

/// Statistics of a model's activations over the calibration samples: one histogram per value.
///
/// Memory depends only on the model, not on the number of samples. A saved calibration can be
/// resumed.
struct Calibration: Sendable, Codable {
  /// SHA-256 of the model that is calibrated, after the settings' changes to it (such as
  /// equalization).
  let model: String
  /// Number of samples seen so far, and their digest.
  private(set) var samples = 0
  private(set) var data = ""
  /// Histograms of the values, by name.
  private(set) var values: [String: ValueHistogram]
  /// Statistics per channel, for values that need them.
  private(set) var channels: [String: ChannelStatistics]

  /// - Parameters:
  ///   - names: The values to observe.
  ///   - channels: The values that need statistics per channel; true if their channels are along
  ///     the last axis.
  init(_ graph: Graph, values names: some Sequence<String>, channels: [String: Bool]) throws {
    model = Digest.sha256(try ONNXFile.encode(graph))
    values = Dictionary(uniqueKeysWithValues: names.map { ($0, ValueHistogram()) })
    self.channels = channels.mapValues { ChannelStatistics(isLast: $0) }
  }

  /// Runs the samples not seen yet through the model. NaN and infinite elements, which masked rows
  /// may contain, are skipped with a warning.
  ///
  /// - Parameter path: File to save the state to, periodically and at the end, also when the run is
  ///   interrupted.
  /// - Throws: `numerical` if a value has no finite element in any sample; the error names the
  ///   value.
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

  /// Number of samples between two writes of the state.
  private static let savingInterval = 1024
  /// Upper limit for the size of a state file, in bytes.
  private static let fileLimit = 1 << 30

  func save(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try AtomicFile.write([UInt8](encoder.encode(self)), to: path)
  }

  /// Loads a saved state; `nil` if the file does not exist.
  ///
  /// - Throws: `badInput` if the file is damaged, or belongs to another model, other values or
  ///   other samples.
  static func load(
    _ path: String, fitting fresh: Calibration, _ source: CalibrationSource
  ) throws -> Calibration? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try locating(path) {
      let bytes = try InputFile.read(path, limit: fileLimit)
      guard let stored = try? JSONDecoder().decode(Calibration.self, from: Data(bytes)),
        stored.samples >= 0, stored.values.values.allSatisfy(\.isSound)
      else { throw SwiftletError(.badInput, "not a calibration state, or the file is damaged") }
      func refusal(_ what: String) -> SwiftletError {
        SwiftletError(
          .badInput, "this calibration state is \(what)",
          mend: "remove the file, or choose another one")
      }
      guard stored.model == fresh.model, stored.values.keys == fresh.values.keys,
        stored.channels.keys == fresh.channels.keys
      else { throw refusal("from another model or from other settings") }
      guard stored.samples <= source.count,
        try source.digest(0..<stored.samples) == stored.data
      else { throw refusal("from other samples") }
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
    // Their shapes are unknown here; sessions do not need them.
    result.outputs = names.map { ValueInfo($0, .float32, []) }
    if names.isEmpty { return self }
    result.removeUnusedNodes()
    return result
  }
}
