// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
import SwiftletFiles
public import SwiftletGraph
import SwiftletTraining

/// Samples for calibrating and judging a model, read batch by batch, so that memory does not grow
/// with their number; and the outputs by which the model is judged.
public struct CalibrationSource: Sendable {
  /// Number of samples; a multiple of ``fixedBatch`` if the model has one.
  public private(set) var count: Int
  /// Number of samples at the end that do not fill a batch of the model's fixed size and are left
  /// out.
  public private(set) var leftOut = 0
  /// Names of the outputs by which models are judged; empty: all.
  public var outputs: [String] = []
  /// Whether the samples are images with labels.
  private(set) var hasLabels = false
  /// Samples per batch.
  private(set) var batch: Int
  /// Whether the model requires exactly ``batch`` samples per run.
  private let isFixed: Bool
  private let feed: InputFeed
  private let threads: Threads
  /// The position of the first sample in the data.
  private var first = 0
  /// The file of each sample of the data, if samples are pictures in files.
  private let files: [String]?

  /// The first samples of a data set, as a model takes them: see `InputFeed`.
  ///
  /// - Parameters:
  ///   - data: The data set.
  ///   - graph: The model.
  ///   - fixed: Inputs that have the same value in every run, by name.
  ///   - limit: Maximum number of samples.
  ///   - threads: For preprocessing.
  /// - Throws: `badInput` or `unsupported` if the model does not take such samples.
  public init(
    _ data: ImageDataset, for graph: Graph, fixed: [String: FixedInput] = [:],
    limit: Int = .max, threads: Threads = .available
  ) throws {
    feed = try InputFeed(data, for: graph, fixed: fixed)
    self.threads = threads
    let samples = min(limit, feed.count)
    hasLabels = data.hasLabels
    files = if case .files(let pictures) = data.pixels { pictures.paths } else { nil }
    isFixed = feed.fixedBatch != nil
    guard let batch = feed.fixedBatch else {
      count = samples
      // At most 64 samples, and about a million elements.
      self.batch = max(1, min(64, (1 << 20) / max(1, feed.elements), samples))
      return
    }
    guard batch > 0, batch <= feed.count else {
      throw SwiftletError(
        .badInput, "the model takes \(batch) samples at once, but there are only \(feed.count)",
        fix: "use more samples")
    }
    self.batch = batch
    count = max(batch, samples / batch * batch)
    leftOut = max(0, samples - count)
  }

  /// Arrays for the inputs of a model.
  ///
  /// Samples lie along the batch axis that the model's symbolic dimensions define, else along the
  /// first axis. Arrays for inputs without such an axis, and fixed inputs, are the same for all
  /// samples.
  ///
  /// - Parameters:
  ///   - arrays: Arrays by input name.
  ///   - graph: The model.
  ///   - fixed: Inputs that have the same value in every run, by name.
  ///   - limit: Maximum number of samples.
  /// - Throws: `badInput` if an array is missing or does not match its input, or if the arrays have
  ///   different numbers of samples.
  public init(
    _ arrays: [String: AnyTensor], for graph: Graph, fixed: [String: FixedInput] = [:],
    limit: Int = .max
  ) throws {
    try self.init(
      ImageDataset(arrays: InputArrays(arrays)), for: graph, fixed: fixed, limit: limit)
  }

  /// The number of samples that the model requires per run; `nil` if it takes any number.
  public var fixedBatch: Int? { isFixed ? batch : nil }

  /// The sizes that the samples give to the model's symbolic dimensions, by name.
  ///
  /// - Parameter graph: The model.
  /// - Throws: The errors of reading the first sample of arrays.
  public func extents(of graph: Graph) throws -> [String: Int] { try feed.extents(of: graph) }

  /// The names of the outputs to judge by, in the model's order.
  ///
  /// - Throws: `badInput` naming an output that the model does not have.
  func judgedOutputs(of graph: Graph) throws -> [String] {
    let known = graph.outputs.map(\.name)
    for name in outputs where !known.contains(name) {
      throw SwiftletError(
        .badInput, "the model has no output '\(name)'",
        fix: "use one of " + known.joined(separator: ", "))
    }
    return outputs.isEmpty ? known : known.filter(outputs.contains)
  }

  /// The one of two sources of the same samples whose batches both models can take: this one if it
  /// has no choice, else the other one. `other` is `nil` if both models take samples alike.
  ///
  /// - Throws: `unsupported` if the models take different fixed numbers of samples at once.
  func leading(with other: CalibrationSource?) throws -> CalibrationSource {
    guard let other, let own = fixedBatch else { return other ?? self }
    if let theirs = other.fixedBatch, theirs != own {
      throw SwiftletError(
        .unsupported, "one model takes \(own) samples at once, and the other one \(theirs)",
        fix: "compare models that take the same number, or any number")
    }
    return self
  }

  /// Calls `body` with each batch of the samples from `first` up to but not including `end`; `nil`:
  /// up to the last one. Batches are as large as those of `leading`, another source of the same
  /// samples; `nil`: as those of this one.
  package func forEachBatch(
    from first: Int = 0, to end: Int? = nil, asOf leading: CalibrationSource? = nil,
    _ body: (_ inputs: [String: AnyTensor], _ samples: Range<Int>) throws -> Void
  ) throws {
    let leading = leading ?? self
    let end = min(leading.count, end ?? leading.count)
    try loading(from: first, to: end) { loader in
      for start in stride(from: first, to: end, by: leading.batch) {
        let range = start..<min(start + leading.batch, end)
        guard !leading.isFixed || range.count == leading.batch else { return }
        try body(loader.inputs(range, threads: threads), range)
      }
    }
  }

  /// Calls `body` with a loader of the samples from `first` to before `end`, in order.
  private func loading<Result>(
    from first: Int = 0, to end: Int? = nil, _ body: (SampleLoader) throws -> Result
  ) rethrows -> Result {
    let end = self.first + max(first, end ?? count)
    return try feed.loading(Array(self.first..<end), from: first, threads: threads, body)
  }

  /// The first samples, at least one batch.
  func prefix(_ samples: Int) -> CalibrationSource {
    var result = self
    let wanted = isFixed ? samples / batch * batch : samples
    result.count = min(count, max(wanted, batch))
    return result
  }

  /// A range of the samples; with a fixed batch it must consist of whole batches.
  public func part(_ range: Range<Int>) -> CalibrationSource {
    var result = self
    result.first = first + range.lowerBound
    result.count = range.count
    if !isFixed { result.batch = max(1, min(batch, range.count)) }
    return result
  }

  /// The first batch.
  func sample() throws -> [String: AnyTensor] { try inputs(0..<min(batch, count)) }

  /// The inputs of one run for a range of the samples, of any length if the model's batch is not
  /// fixed.
  func inputs(_ samples: Range<Int>) throws -> [String: AnyTensor] {
    try feed.inputs(samples.map { first + $0 }, threads: threads)
  }

  /// Number of samples of another source that occur in this one too, element by element; of
  /// pictures in files, the same files, whatever their paths.
  ///
  /// - Parameters:
  ///   - other: The other source.
  ///   - progress: Called after each sample of either source.
  package func shared(
    with other: CalibrationSource, progress: Progress.Handler? = nil
  ) throws -> Int {
    let known = Set(try identities(progress))
    return try other.identities(progress).count { known.contains($0) }
  }

  /// What tells each sample from others: its file, or its digest.
  private func identities(_ progress: Progress.Handler?) throws -> [String] {
    if let files { return files[first..<first + count].map(InputFile.identity) }
    return try loading { loader in
      try (0..<count).map { sample in
        let digest = try Self.digest(loader, sample)
        try progress?(Progress("digest", completed: sample + 1, total: count))
        return digest
      }
    }
  }

  /// A digest to which samples are added one by one, so that it does not depend on batches.
  ///
  /// - Parameters:
  ///   - samples: Indices of the samples to add.
  ///   - digest: The digest so far.
  ///   - progress: Called before each sample.
  package func digest(
    _ samples: Range<Int>, after digest: String = "", progress: Progress.Handler? = nil
  ) throws -> String {
    try loading(from: samples.lowerBound, to: samples.upperBound) { loader in
      try samples.reduce(digest) { digest, sample in
        try progress?(Progress("digest", completed: sample, total: samples.upperBound))
        return try Self.digest(loader, sample, after: digest)
      }
    }
  }

  private static func digest(
    _ loader: SampleLoader, _ sample: Int, after digest: String = ""
  ) throws -> String {
    let inputs = try loader.inputs(CollectionOfOne(sample), threads: .serial)
    let parts = inputs.sorted { $0.key < $1.key }.map { name, value in
      var bytes: [UInt8] = []
      value.contiguous.appendBytes(to: &bytes)
      return "\(name) \(value.dtype) \(value.shape) \(Digest.sha256(bytes))"
    }
    return Digest.sha256(digest + parts.joined(separator: "\n"))
  }
}

extension Tensor<Float> {
  /// Requires all elements to be finite.
  ///
  /// - Throws: `numerical` naming the value if an element is NaN or infinite.
  func requireFinite(_ name: String) throws {
    guard isFinite else {
      throw SwiftletError(
        .numerical, "calibration samples lead to NaN or infinite values", at: "value '\(name)'",
        fix: "remove those samples; only quantize can ignore them")
    }
  }
}
