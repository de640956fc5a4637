// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletGraph

/// The durations of a model's runs.
public struct BenchmarkResult: Sendable, Codable {
  /// Samples in one run.
  public let batch: Int
  /// Threads of the session.
  public let threads: Int
  /// The number of timed runs.
  public let runs: Int
  /// Samples per second, at the median time.
  public let imagesPerSecond: Double
  /// Median and 99th percentile of one run of the whole batch, in milliseconds.
  public let p50ms: Double
  /// The 99th percentile of one run of the whole batch, milliseconds.
  public let p99ms: Double
  /// The time to compile the model for this batch, in milliseconds; less if another batch has
  /// already packed its weights.
  public let compileMs: Double
  /// The sizes of the packed weights and of the values of a run, in bytes.
  public let weightBytes: Int
  /// Bytes of the values of a run.
  public let valueBytes: Int
}

/// Times models against each other.
public enum Benchmark {
  /// One candidate: a session and its input batch. A model that takes a fixed number of samples at
  /// once runs as often as the batch needs.
  public struct Candidate: Sendable {
    /// Samples in one run.
    public let batch: Int
    /// Threads of the session.
    public let threads: Int
    private let runs: Int
    private let session: Session
    private let prepared: Session.Prepared
    /// In the session's order.
    private let inputs: [AnyTensor]
    let compileSeconds: Double
    let memory: (weights: Int, values: Int)

    /// Fills fp32 inputs with normally distributed numbers, and all others with ones, which are
    /// valid masks and indices. `extents` are those of symbolic dimensions, by name; the others are
    /// guessed, see `OpenExtents`.
    ///
    /// - Throws: `badInput` if the model does not accept inputs of these shapes.
    public init(
      _ session: Session, batch: Int, threads: Int, extents: [String: Int] = [:]
    ) throws {
      var generator = RandomGenerator(seed: 1)
      let open = session.core.reference.openExtents(batch: batch, given: extents)
      try self.init(
        session, batch: batch, threads: threads, runs: Self.runs(session, batch),
        inputs: try session.inputs.map { input in
          let shape = try open.shape(of: input)
          return input.dtype == .float32
            ? .float32(Tensor(shape, normalUsing: &generator))
            : .ones(input.dtype, shape)
        })
    }

    /// Times runs on the given inputs, which hold `batch` samples.
    ///
    /// - Throws: `badInput` if an input is missing or does not match its declaration.
    package init(
      _ session: Session, batch: Int, threads: Int, inputs: [String: AnyTensor]
    ) throws {
      try self.init(
        session, batch: batch, threads: threads, runs: 1,
        inputs: try session.inputs.map { input in
          guard let tensor = inputs[input.name] else {
            throw SwiftletError(.badInput, "input '\(input.name)' is missing")
          }
          guard tensor.dtype == input.dtype else {
            throw SwiftletError(
              .badInput, "input '\(input.name)' takes \(input.dtype), not \(tensor.dtype)")
          }
          return tensor.contiguous
        })
    }

    /// - Parameter inputs: In the session's order.
    private init(
      _ session: Session, batch: Int, threads: Int, runs: Int, inputs: [AnyTensor]
    ) throws {
      (self.session, self.batch, self.threads) = (session, batch, threads)
      (self.runs, self.inputs) = (runs, inputs)
      let shapes = Dictionary(
        uniqueKeysWithValues: zip(session.inputs.map(\.name), inputs.map(\.shape)))
      let clock = ContinuousClock()
      compileSeconds = try clock.measure { try session.prepare(shapes) } / .seconds(1)
      memory = try session.memory(for: shapes)
      prepared = try session.prepared(inputs.map(\.shape))
    }

    /// The number of runs of a model for this many samples.
    private static func runs(_ session: Session, _ batch: Int) -> Int {
      guard let fixed = OpenExtents.fixedBatch(session.inputs) else { return 1 }
      return (batch + fixed - 1) / fixed
    }

    func run() throws { for _ in 0..<runs { _ = try prepared.run(inputs) } }

    /// The time of each layer on one thread.
    public func profile() throws -> [LayerProfile] {
      try session.profile(
        Dictionary(uniqueKeysWithValues: zip(session.inputs.map(\.name), inputs)))
    }
  }

  /// Times all candidates in turn, round after round, so that what the machine does meanwhile meets
  /// all of them alike: ratios can be trusted where absolute figures move. After one warm-up run,
  /// each candidate runs for `seconds` and at least five times, or three where a run takes longer
  /// than `seconds`.
  public static func run(
    _ candidates: [Candidate], seconds: Double = 1, progress: Progress.Handler? = nil
  ) throws -> [BenchmarkResult] {
    for candidate in candidates { try candidate.run() }
    var times = [[Double]](repeating: [], count: candidates.count)
    let clock = ContinuousClock()
    var round = 0
    func isTimed(_ times: [Double]) -> Bool {
      let total = times.reduce(0, +)
      let isSlow = times.count >= 3 && total > seconds * Double(times.count)
      return isSlow || times.count >= 5 && total >= seconds
    }
    while !times.allSatisfy(isTimed) {
      round += 1
      for (index, candidate) in candidates.enumerated() where !isTimed(times[index]) {
        try progress?(
          Progress(
            "timing", completed: round,
            remark: "round \(round), \(index + 1) of \(candidates.count)"))
        // Short runs are repeated within a round, so that few rounds suffice.
        let slice = clock.now.advanced(by: .seconds(seconds / 10))
        repeat {
          let start = clock.now
          try candidate.run()
          times[index].append(start.duration(to: clock.now) / .seconds(1))
        } while clock.now < slice
      }
    }
    return zip(candidates, times).map { candidate, times in
      let sorted = times.sorted()
      let median = sorted[sorted.count / 2]
      let slow = sorted[min(sorted.count - 1, sorted.count * 99 / 100)]
      return BenchmarkResult(
        batch: candidate.batch, threads: candidate.threads, runs: times.count,
        imagesPerSecond: Double(candidate.batch) / median, p50ms: median * 1e3, p99ms: slow * 1e3,
        compileMs: candidate.compileSeconds * 1e3, weightBytes: candidate.memory.weights,
        valueBytes: candidate.memory.values)
    }
  }
}

extension AnyTensor {
  fileprivate static func ones(_ dtype: DType, _ shape: Shape) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(Tensor<Element>(shape, repeating: .one))
    }
    return opened(dtype.elementType)
  }
}
