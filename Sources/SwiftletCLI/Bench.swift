import ArgumentParser
import Swiftlet

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time models against each other.",
    discussion: """
      All models, batches and thread counts take turns, so that a busy machine slows all of them \
      alike. Times are medians after a warm-up.

        swiftlet bench seed.onnx small.onnx --batch 1,32,256 --threads 1,2
      """)

  @Argument(help: "ONNX files; each needs one fp32 input.")
  var models: [String]

  @Option(help: "Images per run, separated by commas.")
  var batch = NumberList([1, 32, 256])

  @Option(help: "Threads to use, separated by commas; default: 1 and one per processor.")
  var threads: NumberList?

  @Option(help: "Seconds to spend on each combination.")
  var seconds = 1.0

  @OptionGroup var limits: LimitOptions

  @OptionGroup var output: OutputOptions

  func validate() throws { try check("--seconds", seconds, 0.01...3600) }

  /// One combination and its figures.
  private struct Row: Encodable {
    let model: String
    let batch, threads, runs: Int
    let imagesPerSecond, p50ms, p99ms: Double
  }

  private struct Report: Encodable {
    let rows: [Row]
    let cpu, blas, isa: String
  }

  func run() throws {
    let available = ThreadPool.available.count
    let counts = threads?.values ?? (available > 1 ? [1, available] : [1])
    var labels: [String] = []
    var candidates: [Benchmark.Candidate] = []
    for model in models {
      try locating(model) {
        let graph = try ONNXFile.read(model)
        for count in counts {
          let session = try Session(graph, threads: ThreadPool(count: count))
          for size in batch.values {
            labels.append(model)
            candidates.append(try Benchmark.Candidate(session, batch: size, threads: count))
          }
        }
      }
    }
    let results = try Benchmark.run(candidates, seconds: seconds, progress: Console.progress)
    let rows = zip(labels, results).map { model, result in
      Row(
        model: model, batch: result.batch, threads: result.threads, runs: result.runs,
        imagesPerSecond: result.imagesPerSecond, p50ms: result.p50ms, p99ms: result.p99ms)
    }
    let report = Report(
      rows: rows, cpu: CPU.model, blas: "\(Backend.current.name) \(Backend.core)",
      isa: ISA.current.rawValue)
    if output.json { return try Console.json(report) }
    Console.say("\(report.cpu), \(report.blas), \(report.isa) kernels")
    print(
      table(
        [["model", "batch", "threads", "images/s", "p50 ms", "p99 ms"]]
          + rows.map {
            [
              $0.model, "\($0.batch)", "\($0.threads)", fixed($0.imagesPerSecond, 0),
              fixed($0.p50ms, 3), fixed($0.p99ms, 3),
            ]
          }))
  }
}
