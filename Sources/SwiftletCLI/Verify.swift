import ArgumentParser
import FoundationEssentials
import Swiftlet

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check a compressed model against its manifest.",
    discussion: """
      'swiftlet compress' writes a manifest beside the model. This checks that the original, the data \
      and the compressed model are still the ones it names, and that the compressed model's accuracy \
      is what it says. With --rerun it makes the model again, with the times that were measured then, \
      and compares the bytes.

        swiftlet verify small.manifest.json
        swiftlet verify small.manifest.json --rerun
      """)

  @Argument(help: "The manifest.")
  var manifest: String

  @Flag(help: "Make the model again, and compare.")
  var rerun = false

  @Option(help: ArgumentHelp("Where to look for fashion-mnist first.", valueName: "dir"))
  var dataDir: String?

  @OptionGroup var output: OutputOptions

  /// One thing that was checked.
  struct Check: Encodable {
    let name: String
    let passed: Bool
    let remark: String
  }

  func run() throws {
    let manifest = try Manifest(reading: manifest)
    var checks: [Check] = []
    func check(_ name: String, _ passed: Bool, _ remark: String) {
      checks.append(Check(name: name, passed: passed, remark: remark))
    }
    func sameFile(_ name: String, _ file: Manifest.File) throws {
      let found = try Manifest.File(file.path)
      check(name, found.sha256 == file.sha256, "\(file.path): \(found.bytes) bytes")
    }
    try sameFile("model", manifest.model)
    try sameFile("output", manifest.output)
    let spec = try DataSpec(parsing: manifest.data)
    let training = try spec.load(defaultPart: .train, dataDirectory: dataDir)
    let validation = try spec.load(defaultPart: .test, dataDirectory: dataDir)
    check(
      "training data", Manifest.Images(training) == manifest.training,
      "\(training.name): \(training.count) images")
    check(
      "validation data", Manifest.Images(validation) == manifest.validation,
      "\(validation.name): \(validation.count) images")
    let pool = ThreadPool(count: manifest.machine.threads)
    let evaluation = try Evaluation.run(
      graph(manifest.output.path, manifest), on: validation, threads: pool,
      progress: Console.progress)
    check(
      "accuracy", evaluation.top1 == manifest.report.after.top1,
      "top-1 \(evaluation.top1), stated \(manifest.report.after.top1)")
    if rerun { checks.append(try again(manifest, training, validation, pool)) }
    try show(checks)
  }

  /// A model with the extents that it was compressed with.
  private func graph(_ path: String, _ manifest: Manifest) throws -> Graph {
    var graph = try ONNXFile.read(path)
    graph.extents = manifest.extents ?? [:]
    return graph
  }

  private func again(
    _ manifest: Manifest, _ training: ImageDataset, _ validation: ImageDataset, _ pool: ThreadPool
  ) throws -> Check {
    let here = Manifest.Machine(threads: pool.count)
    // The times that decisions rested on, wherever they were measured.
    let origin = LatencyCache.machine(
      cpu: manifest.machine.cpu, isa: manifest.machine.isa, version: manifest.version)
    let context = CompressionContext(
      original: try graph(manifest.model.path, manifest), training: training,
      validation: validation, threads: pool, seed: manifest.seed,
      latencies: LatencyCache(manifest.latencies, of: origin),
      progress: Console.progress)
    let result = try Compressor(context).run(manifest.recipe)
    let same =
      try ONNXFile.serialized(result.graph)
      == InputFile.read(
        manifest.output.path, limit: .max)
    let place =
      here == manifest.machine ? "" : "; it was made elsewhere, on \(manifest.machine.cpu)"
    return Check(
      name: "made again", passed: same, remark: (same ? "the same bytes" : "other bytes") + place)
  }

  private func show(_ checks: [Check]) throws {
    if output.json {
      try Console.json(checks)
    } else {
      Console.endProgress()
      Console.print(
        checks.map { "\($0.passed ? "ok" : "FAILED")  \($0.name): \($0.remark)" }
          .joined(separator: "\n"))
    }
    guard let failed = checks.first(where: { !$0.passed }) else { return }
    throw SwiftletError(
      .badInput, "\(failed.name): \(failed.remark): not what the manifest says", at: manifest,
      mend: "compress again, or restore what has changed")
  }
}
