// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// One pass over samples of a data set, in an order that is known in advance: pictures in files are
/// decoded ahead of the model.
///
/// What it gives is what ``InputFeed`` gives for the same samples, whatever the number of threads.
public struct SampleLoader: Sendable {
  private let feed: InputFeed
  private let order: [Int]
  /// Pictures in the size of the model's input; `nil` for data in memory, which are fast to read.
  private let pictures: ReadAhead<[UInt8]>?

  /// - Parameters:
  ///   - first: The first position of `order` that is read.
  ///   - memory: As ``LoaderMemory/bytes``.
  init(_ feed: InputFeed, _ order: [Int], from first: Int, memory: Int) {
    (self.feed, self.order) = (feed, order)
    pictures = feed.pictures.map { preprocessing, files in
      let size = preprocessing.shape(batch: 1).count
      return ReadAhead(
        first..<max(first, order.count), capacity: LoaderMemory.ahead(of: memory) / size
      ) { position in
        try preprocessing.pixels(of: files, at: order[position])
      }
    }
  }

  func run<Result>(workers: Int, _ body: (SampleLoader) throws -> Result) rethrows -> Result {
    guard let pictures else { return try body(self) }
    return try pictures.run(workers: workers) { try body(self) }
  }

  /// The inputs for the samples at some positions of the order, by name.
  ///
  /// Positions may be taken in any order and by several threads at once. Each is fastest when taken
  /// once, and not long before or after its neighbors.
  ///
  /// - Parameters:
  ///   - positions: The positions. A model with a fixed batch takes exactly that many.
  ///   - moves: How each picture is augmented; `nil` leaves all as they are.
  ///   - threads: For conversion.
  ///   - willTake: Called before each picture in a file is waited for; throws to stop.
  /// - Throws: For pictures in files, `io`, `badInput` or `unsupported` naming the first of these
  ///   that cannot be decoded; what `willTake` throws.
  public func inputs(
    _ positions: some Collection<Int>, moves: [Augmentation.Move]? = nil, threads: Threads,
    willTake: () throws -> Void = {}
  ) throws -> [String: AnyTensor] {
    let positions = Array(positions)
    let indices = positions.map { order[$0] }
    guard let pictures else { return try feed.inputs(indices, moves: moves, threads: threads) }
    // On this thread alone: the threads of a team spin while they wait, which would take processors
    // from the workers.
    let taken = try positions.map { position in
      try willTake()
      return try pictures.take(position)
    }
    return try feed.inputs(indices) { preprocessing in
      let pixels = try preprocessing.stacked(taken.count, threads) { taken[$0] }
      return preprocessing.batch(fitted: pixels, moves, threads)
    }
  }

  /// As ``inputs(_:moves:threads:)``, as the tensor that training starts from.
  ///
  /// - Throws: `unsupported` if the model has several inputs, or one that is not fp32.
  package func tensor(
    _ positions: some Collection<Int>, moves: [Augmentation.Move]? = nil, threads: Threads
  ) throws -> Tensor<Float> {
    try InputFeed.single(try inputs(positions, moves: moves, threads: threads))
  }
}

extension InputFeed {
  /// Reads samples in the given order while `body` runs.
  ///
  /// Pictures in files are decoded by threads of their own, ahead of `body` by at most a quarter of
  /// `memory`, besides one per thread that is being decoded. These threads have ended when this
  /// returns or throws.
  ///
  /// - Parameters:
  ///   - order: The samples, in the order in which `body` takes them.
  ///   - first: The first position of `order` that `body` takes.
  ///   - threads: As many pictures are decoded at once.
  ///   - memory: See ``LoaderMemory``.
  ///   - body: Takes the samples. A picture that cannot be decoded throws where it is taken.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  public func loading<Result>(
    _ order: [Int], from first: Int = 0, threads: Threads, memory: Int = LoaderMemory.bytes,
    _ body: (SampleLoader) throws -> Result
  ) rethrows -> Result {
    try SampleLoader(self, order, from: first, memory: memory).run(workers: threads.count, body)
  }
}
