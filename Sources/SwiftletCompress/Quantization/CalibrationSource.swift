public import SwiftletCore
public import SwiftletFormats
public import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// Inputs that show a model what it will meet, a batch at a time: memory does not grow with them.
public struct CalibrationSource: Sendable {
  /// How many samples there are.
  public private(set) var count: Int
  /// Samples in a batch.
  let batch: Int
  private let make: @Sendable (Range<Int>) throws -> [String: AnyTensor]

  /// The first images of a data set, prepared as the model's metadata say.
  ///
  /// - Throws: `badInput` or `unsupported` if the model does not take such images.
  public init(
    _ images: ImageDataset, for graph: Graph, limit: Int = .max, threads: ThreadPool = .available
  ) throws {
    let preprocessing = try Preprocessing.stored(in: graph, images: images)
    let name = graph.dataInputs[0].name
    count = min(limit, images.count)
    batch = try Self.batch(for: graph, samples: count)
    make = { range in
      [name: AnyTensor(preprocessing.batch(images, Array(range), pool: threads))]
    }
  }

  /// Arrays for all inputs of a model, the samples along their first axis.
  ///
  /// - Throws: `badInput` if an array is missing, or does not fit the input.
  public init(_ arrays: [String: AnyTensor], for graph: Graph, limit: Int = .max) throws {
    var count = limit
    for input in graph.dataInputs {
      guard let array = arrays[input.name] else {
        throw SwiftletError(
          .badInput, "there is no array '\(input.name)'",
          mend: "name the arrays after the model's inputs")
      }
      let sample = array.shape.rank > 0 ? array.shape.replacing(axis: 0, with: 1) : array.shape
      var free = input
      if !free.dimensions.isEmpty { free.dimensions[0] = .symbolic("N") }
      guard array.dtype == input.dtype, array.shape.rank > 0, array.shape[0] > 0,
        free.accepts(sample)
      else {
        throw SwiftletError(
          .badInput,
          "array '\(input.name)' is \(array.dtype) \(array.shape); the model takes "
            + "\(input.dtype) \(input.shapeDescription)")
      }
      count = min(count, array.shape[0])
    }
    self.count = count
    let names = graph.dataInputs.map(\.name)
    batch = try Self.batch(for: graph, samples: count)
    make = { range in
      Dictionary(
        uniqueKeysWithValues: names.map { ($0, arrays[$0]!.samples(range)) })
    }
  }

  /// As many samples as the model takes at once; if it does not care, some that fill a few megabytes.
  private static func batch(for graph: Graph, samples: Int) throws -> Int {
    guard let input = graph.dataInputs.first, let leading = input.dimensions.first else {
      throw SwiftletError(.unsupported, "the model takes no batch of inputs")
    }
    if case .fixed(let extent) = leading {
      guard extent > 0, extent <= samples else {
        throw SwiftletError(
          .badInput, "the model takes \(extent) samples at once, there are \(samples)",
          mend: "give more samples")
      }
      return extent
    }
    let elements = input.dimensions.dropFirst().reduce(1) { count, dimension in
      if case .fixed(let extent) = dimension, extent > 0 {
        count * min(extent, 1 << 20)
      } else {
        count
      }
    }
    return max(1, min(64, (1 << 20) / max(1, elements), samples))
  }

  /// Shows the samples from `first` on, batch by batch. What is left at the end of a model's fixed
  /// batch is left out.
  func forEachBatch(
    from first: Int = 0,
    _ body: (_ inputs: [String: AnyTensor], _ samples: Range<Int>) throws -> Void
  ) throws {
    for start in stride(from: first, to: count, by: batch) {
      let range = start..<min(start + batch, count)
      try body(make(range), range)
    }
  }

  /// Samples per second of several models, timed in turns over the first batch.
  public func speeds(of graphs: [Graph], threads: ThreadPool = .available) throws -> [Double] {
    let inputs = try sample()
    let sessions = try graphs.map { try Session($0, threads: threads) }
    for session in sessions { _ = try session.run(inputs) }
    var times = [[Double]](repeating: [], count: graphs.count)
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .seconds(graphs.count))
    repeat {
      for (index, session) in sessions.enumerated() {
        let start = clock.now
        _ = try session.run(inputs)
        times[index].append(start.duration(to: clock.now) / .seconds(1))
      }
    } while clock.now < end
    let samples = Double(min(batch, count))
    return times.map { samples / $0.sorted()[$0.count / 2] }
  }

  /// The first samples, as many as the model takes at once at least.
  func prefix(_ samples: Int) -> CalibrationSource {
    var result = self
    result.count = min(count, max(samples, batch))
    return result
  }

  /// The first batch.
  func sample() throws -> [String: AnyTensor] { try make(0..<min(batch, count)) }
}

extension Tensor<Float> {
  /// - Throws: `numerical` naming the value if an element is NaN or infinite.
  func requireFinite(_ name: String) throws {
    guard isFinite else {
      throw SwiftletError(
        .numerical, "the calibration samples give NaN or infinite values", at: "value '\(name)'")
    }
  }
}

extension AnyTensor {
  /// A view of the indices `range` along the first axis.
  fileprivate func samples(_ range: Range<Int>) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      AnyTensor(typed(as: Element.self)!.slice(axis: 0, range: range))
    }
    return opened(dtype.elementType)
  }
}
