// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
import SwiftletFiles
public import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// Inputs that show a model what it will meet, a batch at a time: memory does not grow with them.
/// And which of the model's answers to them count.
public struct CalibrationSource: Sendable {
  /// How many samples there are; of a model that takes a fixed number at once, a multiple of that.
  public private(set) var count: Int
  /// Samples at the end that fill no batch of the fixed size that the model takes: they are left
  /// out.
  public private(set) var leftOut = 0
  /// Outputs by which models are judged; none: all of them.
  public var outputs: [String] = []
  /// Whether they are images with labels.
  private(set) var hasLabels = false
  /// Samples in a batch.
  private(set) var batch: Int
  /// Whether the model takes exactly ``batch`` samples at once.
  private let isFixed: Bool
  private var make: @Sendable (Range<Int>) throws -> [String: AnyTensor]

  /// The first images of a data set, prepared as the model's metadata say.
  ///
  /// - Throws: `badInput` or `unsupported` if the model does not take such images.
  public init(
    _ images: ImageDataset, for graph: Graph, limit: Int = .max, threads: Threads = .available
  ) throws {
    let preprocessing = try Preprocessing.stored(in: graph, images: images)
    guard let input = graph.dataInputs.first, let leading = input.dimensions.first else {
      throw SwiftletError(.unsupported, "the model takes no batch of images")
    }
    let (name, own) = (input.name, images)
    var fixed: Int?
    if case .fixed(let extent) = leading { fixed = extent }
    try self.init(
      samples: min(limit, images.count), fixed: fixed,
      elements: preprocessing.shape(batch: 1).count, available: images.count
    ) { [name: AnyTensor(preprocessing.batch(own, Array($0), threads: threads))] }
    hasLabels = true
  }

  /// Arrays for all inputs of a model. Samples are along the axis that the model's symbols say,
  /// else along the first; arrays for inputs without such an axis are the same for all samples, and
  /// so is what is fixed.
  ///
  /// - Throws: `badInput` if an array is missing or does not fit its input, or arrays have
  ///   different numbers of samples.
  public init(
    _ arrays: [String: AnyTensor], for graph: Graph, fixed: [String: FixedInput] = [:],
    limit: Int = .max
  ) throws {
    let samples = try SampleArrays(arrays, for: graph, fixed: fixed)
    try self.init(
      samples: min(limit, samples.count), fixed: samples.batch, elements: samples.elements,
      available: samples.count
    ) { try samples.inputs($0) }
  }

  private init(
    samples: Int, fixed: Int?, elements: Int, available: Int? = nil,
    make: @escaping @Sendable (Range<Int>) throws -> [String: AnyTensor]
  ) throws {
    self.make = make
    isFixed = fixed != nil
    guard let fixed else {
      count = samples
      // Some that fill a few megabytes.
      batch = max(1, min(64, (1 << 20) / max(1, elements), samples))
      return
    }
    let available = available ?? samples
    guard fixed > 0, fixed <= available else {
      throw SwiftletError(
        .badInput, "the model takes \(fixed) samples at once, there are \(available)",
        mend: "give more samples")
    }
    batch = fixed
    count = max(fixed, samples / fixed * fixed)
    leftOut = max(0, samples - count)
  }

  /// The number of samples that the model takes at once, if it is just one.
  public var fixedBatch: Int? { isFixed ? batch : nil }

  /// The extents that the model leaves open and the samples have, by name.
  public func extents(of graph: Graph) throws -> [String: Int] {
    OpenExtents.of(graph.dataInputs, shapes: try sample().mapValues(\.shape))
  }

  /// The names of the outputs that count, in the model's order.
  ///
  /// - Throws: `badInput` naming one that the model does not have.
  func judgedOutputs(of graph: Graph) throws -> [String] {
    let known = graph.outputs.map(\.name)
    for name in outputs where !known.contains(name) {
      throw SwiftletError(
        .badInput, "the model has no output '\(name)'",
        mend: "its outputs are " + known.joined(separator: ", "))
    }
    return outputs.isEmpty ? known : known.filter(outputs.contains)
  }

  /// Shows the samples from `first` on, up to `end` or to the last, batch by batch.
  package func forEachBatch(
    from first: Int = 0, to end: Int? = nil,
    _ body: (_ inputs: [String: AnyTensor], _ samples: Range<Int>) throws -> Void
  ) throws {
    let end = min(count, end ?? count)
    for start in stride(from: first, to: end, by: batch) {
      let range = start..<min(start + batch, end)
      guard !isFixed || range.count == batch else { return }
      try body(make(range), range)
    }
  }

  /// Samples per second of several models, timed in turns over the first batch. Where one seems
  /// slower than the first of them, they are timed once more and for longer, and the better time of
  /// each counts: what else a machine does only makes a model slower.
  public func speeds(of graphs: [Graph], threads: Threads = .available) throws -> [Double] {
    let inputs = try sample()
    let sessions = try graphs.map { try Session($0, threads: threads) }
    for session in sessions { _ = try session.run(inputs) }
    var times = try Self.medians(of: sessions, inputs, milliseconds: 300)
    if times.contains(where: { CompressionVerdict.isSlower(times[0] / $0) }) {
      let again = try Self.medians(of: sessions, inputs, milliseconds: 1000)
      times = zip(times, again).map(min)
    }
    let samples = Double(min(batch, count))
    return times.map { samples / $0 }
  }

  /// Seconds of a run of each session, timed in turns.
  private static func medians(
    of sessions: [Session], _ inputs: [String: AnyTensor], milliseconds: Int
  ) throws -> [Double] {
    var times = [[Double]](repeating: [], count: sessions.count)
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .milliseconds(milliseconds * sessions.count))
    repeat {
      for (index, session) in sessions.enumerated() {
        let start = clock.now
        _ = try session.run(inputs)
        times[index].append(start.duration(to: clock.now) / .seconds(1))
      }
    } while clock.now < end || times[0].count < 5
    return times.map { $0.sorted()[$0.count / 2] }
  }

  /// The first samples, as many as the model takes at once at least.
  func prefix(_ samples: Int) -> CalibrationSource {
    var result = self
    let wanted = isFixed ? samples / batch * batch : samples
    result.count = min(count, max(wanted, batch))
    return result
  }

  /// A range of the samples by themselves, of a model with a fixed batch from one batch to another.
  public func part(_ range: Range<Int>) -> CalibrationSource {
    var result = self
    let make = make
    result.make = { samples in
      try make(range.lowerBound + samples.lowerBound..<range.lowerBound + samples.upperBound)
    }
    result.count = range.count
    if !isFixed { result.batch = max(1, min(batch, range.count)) }
    return result
  }

  /// The first sample alone; of a model that takes a fixed number at once, the first batch.
  var single: CalibrationSource { part(0..<(isFixed ? batch : min(1, count))) }

  /// The first batch.
  func sample() throws -> [String: AnyTensor] { try make(0..<min(batch, count)) }

  /// How many samples of another source are here too, element by element.
  package func shared(with other: CalibrationSource) throws -> Int {
    let known = Set(try (0..<count).map { try digest($0..<$0 + 1) })
    return try (0..<other.count).count { known.contains(try other.digest($0..<$0 + 1)) }
  }

  /// A digest that samples add to, one after the other: it does not depend on how they are cut into
  /// batches.
  package func digest(_ samples: Range<Int>, after digest: String = "") throws -> String {
    try samples.reduce(digest) { digest, sample in
      let inputs = try make(sample..<sample + 1)
      let parts = inputs.sorted { $0.key < $1.key }.map { name, value in
        var bytes: [UInt8] = []
        value.contiguous.appendBytes(to: &bytes)
        return "\(name) \(value.dtype) \(value.shape) \(Digest.sha256(bytes))"
      }
      return Digest.sha256(digest + parts.joined(separator: "\n"))
    }
  }
}

extension Tensor<Float> {
  /// - Throws: `numerical` naming the value if an element is NaN or infinite.
  func requireFinite(_ name: String) throws {
    guard isFinite else {
      throw SwiftletError(
        .numerical, "the calibration samples give NaN or infinite values", at: "value '\(name)'",
        mend: "leave out the samples that do; quantize alone goes on without them")
    }
  }
}
