public import SwiftletCore
public import SwiftletFormats
public import SwiftletGraph

/// What passes work with besides the graph.
public struct CompressionContext: Sendable {
  /// The model before any compression: the teacher.
  public let original: Graph
  public let threads: ThreadPool
  public let seed: UInt64
  /// What has been timed on this machine.
  public let latencies: LatencyCache
  public let progress: Progress.Handler?
  private let data: Data

  private enum Data {
    case images(training: ImageDataset, validation: ImageDataset)
    case samples([String: AnyTensor])
  }

  /// With labels: training images to calibrate and learn with, validation images to judge with.
  public init(
    original: Graph, training: ImageDataset, validation: ImageDataset,
    threads: ThreadPool = .available, seed: UInt64 = 0, latencies: LatencyCache = LatencyCache(),
    progress: Progress.Handler? = nil
  ) {
    self.original = original
    self.threads = threads
    self.seed = seed
    self.latencies = latencies
    self.progress = progress
    data = .images(training: training, validation: validation)
  }

  /// Without labels: enough for all that does not train.
  ///
  /// The samples are arrays for all inputs of the model, along their first axis.
  public init(
    original: Graph, samples: [String: AnyTensor], threads: ThreadPool = .available,
    seed: UInt64 = 0, latencies: LatencyCache = LatencyCache(), progress: Progress.Handler? = nil
  ) {
    self.original = original
    self.threads = threads
    self.seed = seed
    self.latencies = latencies
    self.progress = progress
    data = .samples(samples)
  }

  /// Images to calibrate and learn with.
  public var training: ImageDataset {
    get throws { try images().training }
  }

  /// Images to judge with.
  public var validation: ImageDataset {
    get throws { try images().validation }
  }

  private func images() throws -> (training: ImageDataset, validation: ImageDataset) {
    guard case .images(let training, let validation) = data else {
      throw SwiftletError(
        .unsupported, "this needs images with labels; there are inputs alone",
        mend: "leave distill, QAT and --max-drop out, or give labelled images")
    }
    return (training, validation)
  }

  /// The first samples, as a model takes them.
  func calibration(for graph: Graph, limit: Int) throws -> CalibrationSource {
    switch data {
    case .images(let training, _):
      try CalibrationSource(training, for: graph, limit: limit, threads: threads)
    case .samples(let samples): try CalibrationSource(samples, for: graph, limit: limit)
    }
  }
}
