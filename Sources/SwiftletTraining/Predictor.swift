// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletData
public import SwiftletGraph
public import SwiftletRuntime

/// Runs a model over a data set.
public struct Predictor: Sendable {
  private let session: Session
  private let feed: InputFeed
  private let threads: Threads

  /// Prepares a model.
  ///
  /// - Parameters:
  ///   - graph: The model.
  ///   - data: The samples.
  ///   - fixed: Inputs that have the same value in every run, by name.
  ///   - threads: For preprocessing and for the model.
  ///   - precision: Of the model's arithmetic.
  /// - Throws: `badInput` or `unsupported` if the model does not take such samples, or cannot be
  ///   run.
  public init(
    _ graph: Graph, on data: ImageDataset, fixed: [String: FixedInput] = [:],
    threads: Threads = .available, precision: Precision = .fp32
  ) throws {
    try self.init(
      Session(graph, threads: threads, precision: precision),
      InputFeed(data, for: graph, fixed: fixed), threads)
  }

  /// - Parameter feed: May be made for a graph with more outputs than the session's.
  init(_ session: Session, _ feed: InputFeed, _ threads: Threads) {
    (self.session, self.feed, self.threads) = (session, feed, threads)
  }

  /// Number of samples.
  public var count: Int { feed.count }

  /// Calls `body` with the outputs for each batch, in order. Of a model with a fixed batch, each
  /// batch has that size, and the last one is filled with copies of the last sample, whose outputs
  /// are left out.
  ///
  /// - Parameters:
  ///   - size: Samples per batch, unless the model fixes it.
  ///   - willTake: Called before each picture in a file is waited for; throws to stop.
  ///   - body: Takes the outputs by name, and the positions of their samples in the data set.
  /// - Returns: The time of running the model. Pictures of later batches are decoded at the same
  ///   time, which slows it down if the model uses all processors.
  /// - Throws: The errors of reading samples and of running the session; `unsupported` naming an
  ///   output of a model with a fixed batch that does not have one row per sample; and what `body`
  ///   throws.
  @discardableResult
  public func forEachBatch(
    of size: Int, willTake: () throws -> Void = {},
    _ body: (_ outputs: [String: AnyTensor], _ samples: Range<Int>) throws -> Void
  ) throws -> Duration {
    let size = feed.fixedBatch ?? size
    let filled = feed.fixedBatch == nil ? count : (count + size - 1) / size * size
    var elapsed = Duration.zero
    let clock = ContinuousClock()
    try feed.loading((0..<filled).map { min($0, count - 1) }, threads: threads) { loader in
      for start in stride(from: 0, to: filled, by: size) {
        let positions = start..<min(start + size, filled)
        let samples = positions.clamped(to: 0..<count)
        let inputs = try loader.inputs(positions, threads: threads, willTake: willTake)
        let begin = clock.now
        var outputs = try session.run(inputs)
        elapsed += begin.duration(to: clock.now)
        if positions.count > samples.count {
          for (name, output) in outputs {
            guard output.shape.rank > 0, output.shape[0] == positions.count else {
              throw SwiftletError(
                .unsupported,
                "output '\(name)' is \(output.shape) for \(positions.count) samples: it must have "
                  + "one row per sample")
            }
            outputs[name] = output.rows(0..<samples.count).contiguous
          }
        }
        try body(outputs, samples)
      }
    }
    return elapsed
  }
}
