// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet bench`.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare the speed of models.",
    discussion: """
      Models, batch sizes and numbers of threads are timed in alternation, so that a busy machine \
      slows all of them alike. Times are medians after a warm-up.

        swiftlet bench seed.onnx small.onnx --batch 1,32,256 --threads 1,2
        swiftlet bench seed.onnx --batch 32 --profile
        swiftlet bench encoder.onnx --batch 1 --extent sequence=128

      --profile times each layer on one thread, and compares it with the measured peak of one \
      core. Winograd convolution is credited with the multiplications it saves, so it may exceed \
      100 %.
      """)

  @Argument(help: "ONNX files. Random numbers are fed to fp32 inputs, ones to all others.")
  var models: [String]

  @Option(help: "Batch sizes, separated by commas.")
  var batch = NumberList([1, 32, 256])

  @Option(
    help: ArgumentHelp(
      "Size of an open dimension; may be repeated. Others are the batch size, or guessed from "
        + "their names: 224 pixels, 128 tokens, 16 000 samples of sound.",
      valueName: "name=number"))
  var extent: [NamedExtent] = []

  @Option(help: "Numbers of threads, separated by commas. Default: 1 and one per processor.")
  var threads: NumberList?

  @Option(help: "Seconds to spend on each combination.")
  var seconds = 1.0

  @OptionGroup var precision: PrecisionOptions

  @Flag(help: "Also show the time of each layer.")
  var profile = false

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var output: OutputOptions

  func validate() throws {
    try check("--seconds", seconds, 0.01...3600)
    try batch.check("--batch")
    try threads?.check("--threads")
    for extent in extent { try extent.check() }
  }

  /// The figures of one combination.
  private struct Row: Encodable {
    let model: String
    let batch, threads, runs: Int
    let imagesPerSecond, p50ms, p99ms, compileMs: Double
    let weightBytes, valueBytes: Int
  }

  /// The layer times of one model at one batch size.
  private struct Profile: Encodable {
    let model: String
    let batch: Int
    let layers: [LayerProfile]
  }

  /// The JSON result.
  private struct Report: Encodable {
    let rows: [Row]
    let cpu, blas, isa: String
    let profiles: [Profile]?
    let peaks: Peaks?
  }

  func run() throws {
    let available = Threads.available.count
    let counts = threads?.values ?? (available > 1 ? [1, available] : [1])
    let extents = Dictionary(extent.map { ($0.name, $0.extent) }) { $1 }
    var unknown = Set(extents.keys)
    var labels: [String] = []
    var candidates: [Benchmark.Candidate] = []
    for model in models {
      try locating(model) {
        let graph = try ONNXFile.read(model)
        unknown.subtract(graph.openExtentNames)
        for count in counts {
          let session = try Session(
            graph, threads: Threads(count: count), precision: precision.precision)
          for size in batch.values {
            labels.append(model)
            candidates.append(
              try Benchmark.Candidate(session, batch: size, threads: count, extents: extents))
          }
        }
      }
    }
    if let name = unknown.min() {
      throw SwiftletError(
        .badInput, "no input has an open extent '\(name)'", at: "--extent",
        fix: "'swiftlet inspect' lists the inputs and their open extents")
    }
    let results = try Benchmark.run(candidates, seconds: seconds, progress: Console.progress)
    let rows = zip(labels, results).map { model, result in
      Row(
        model: model, batch: result.batch, threads: result.threads, runs: result.runs,
        imagesPerSecond: result.imagesPerSecond, p50ms: result.p50ms, p99ms: result.p99ms,
        compileMs: result.compileMs, weightBytes: result.weightBytes,
        valueBytes: result.valueBytes)
    }
    let report = Report(
      rows: rows, cpu: CPU.model, blas: "\(Backend.current.name) \(Backend.core)",
      isa: ISA.current.rawValue,
      profiles: profile ? try profiles(labels, candidates, counts[0]) : nil,
      peaks: profile ? Peaks.measure() : nil)
    if output.json { return try Console.json(report) }
    Console.say("\(report.cpu), \(report.blas), \(report.isa) kernels")
    print(
      table(
        [["model", "batch", "threads", "images/s", "p50 ms", "p99 ms", "MiB"]]
          + rows.map {
            [
              $0.model, "\($0.batch)", "\($0.threads)", fixed($0.imagesPerSecond, 0),
              fixed($0.p50ms, 3), fixed($0.p99ms, 3),
              fixed(Double($0.weightBytes + $0.valueBytes) / Double(1 << 20), 1),
            ]
          }))
    if let profiles = report.profiles, let peaks = report.peaks {
      for profile in profiles { show(profile, peaks) }
    }
  }

  private func profiles(
    _ labels: [String], _ candidates: [Benchmark.Candidate], _ threads: Int
  ) throws -> [Profile] {
    try zip(labels, candidates).filter { $1.threads == threads }.map { model, candidate in
      Profile(model: model, batch: candidate.batch, layers: try candidate.profile())
    }
  }

  private func show(_ profile: Profile, _ peaks: Peaks) {
    let total = profile.layers.reduce(0) { $0 + $1.milliseconds }
    print("\n\(profile.model), batch \(profile.batch), one thread: \(fixed(total, 3)) ms")
    print(
      table(
        [["layer", "kernel", "ms", "% of time", "GOP/s", "% of peak"]]
          + profile.layers.map { layer in
            let speed = layer.gigaOperationsPerSecond
            return [
              layer.layer, layer.kernel, fixed(layer.milliseconds, 4),
              fixed(100 * layer.milliseconds / total, 1), speed > 0 ? fixed(speed, 1) : "",
              speed > 0 ? fixed(100 * speed / peaks.operations(of: layer), 0) : "",
            ]
          }))
  }
}
