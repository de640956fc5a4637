// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCompress
import SwiftletCore

/// A metric of the program.
struct OwnMetric {
  /// The metric, which calls back.
  let metric: Metric

  /// What scores a batch.
  ///
  /// `@unchecked Sendable`: the caller must guard what `context` points to.
  @safe
  fileprivate struct Scorer: @unchecked Sendable {
    let function: swiftlet_score
    let context: UnsafeMutableRawPointer?
  }

  /// - Returns: `nil` for NULL.
  /// - Throws: A ``Refusal`` for a wrong size or a missing function.
  init?(
    _ pointer: UnsafePointer<swiftlet_metric>?, _ name: String, _ callbacks: Callbacks
  ) throws {
    guard let given = try unsafe Options.read(pointer, name) else { return nil }
    guard let function = unsafe given.score else { throw Refusal.usage("\(name).score is NULL") }
    let text = try unsafe given.name.map { try unsafe Arguments.text($0, "\(name).name") }
    let scorer = unsafe Scorer(function: function, context: given.context)
    metric = unsafe Metric(
      name: text ?? "metric", higherIsBetter: given.lower_is_better == 0,
      isFraction: given.is_fraction != 0, needsOriginal: given.needs_original != 0
    ) { try scorer.scores($0, callbacks: callbacks) }
  }
}

extension OwnMetric.Scorer {
  func scores(_ batch: MetricBatch, callbacks: Callbacks) throws -> [Double] {
    let outputs = OutputsForC(
      batch.outputNames.compactMap { name in
        batch.outputs[name].map { (name, $0) }
      })
    let original = OutputsForC(
      batch.outputNames.compactMap { name in
        batch.original[name].map { (name, $0) }
      })
    let (positions, labels) = (batch.positions.map(Int64.init), batch.labels.map(Int64.init))
    var scores = [Double](repeating: .nan, count: positions.count)
    var count = positions.count
    try unsafe positions.withUnsafeBufferPointer { positions in
      try unsafe labels.withUnsafeBufferPointer { labels in
        try unsafe scores.withUnsafeMutableBufferPointer { scores in
          var given = unsafe swiftlet_batch(
            struct_size: MemoryLayout<swiftlet_batch>.stride, count: positions.count,
            samples: positions.baseAddress, labels: labels.isEmpty ? nil : labels.baseAddress,
            outputs: outputs.start, output_count: outputs.count, original: original.start,
            original_count: original.count)
          try callbacks.run { unsafe function(&given, scores.baseAddress, &count, context) }
        }
      }
    }
    withExtendedLifetime((outputs, original)) {}
    guard count == 1 || count == scores.count else {
      throw Refusal.usage(
        "a metric wrote \(count) scores for \(scores.count) samples",
        fix: "write one for each sample, or a single one")
    }
    return Array(scores.prefix(count))
  }
}

/// Outputs of a model by name, in memory that C may read.
@safe
private final class OutputsForC {
  private let memory: UnsafeMutableBufferPointer<swiftlet_output>
  private let tensors: [TensorForC]

  init(_ outputs: [(name: String, tensor: AnyTensor)]) {
    let tensors = outputs.map { TensorForC($0.tensor.contiguous) }
    self.tensors = tensors
    unsafe memory = .allocate(capacity: outputs.count)
    for (index, output) in outputs.enumerated() {
      unsafe memory.initializeElement(
        at: index,
        to: swiftlet_output(name: copyForC(output.name), value: tensors[index].value))
    }
  }

  deinit {
    for index in 0..<count {
      unsafe swiftlet_string_free(UnsafeMutablePointer(mutating: memory[index].name))
    }
    unsafe memory.deallocate()
  }

  var count: Int { unsafe memory.count }
  /// `nil` if there are none.
  var start: UnsafePointer<swiftlet_output>? {
    unsafe count == 0 ? nil : UnsafePointer(memory.baseAddress)
  }
}

extension Metric {
  /// The metric that a call asks for, by name or as a callback; `nil`: as the data suggest.
  ///
  /// - Throws: A ``Refusal`` if both are given; `badInput` for a name that there is not.
  static func read(
    _ name: UnsafePointer<CChar>?, _ pointer: UnsafePointer<swiftlet_metric>?,
    _ callbacks: Callbacks
  ) throws -> Metric? {
    let own = try unsafe OwnMetric(pointer, "options.own_metric", callbacks)
    guard let name = unsafe name else { return own?.metric }
    guard own == nil else {
      throw Refusal.usage(
        "options.metric and options.own_metric are given", fix: "give one of them")
    }
    return try unsafe named(Arguments.text(name, "options.metric"))
  }
}
