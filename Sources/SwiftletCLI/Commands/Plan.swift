// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet plan`.
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predict size and speed after compression, within seconds.",
    discussion: """
      Builds models of the sizes and shapes that 'swiftlet compress' would produce, without data \
      or training, and times them on this machine. Accuracy cannot be predicted: compress measures \
      it.

      Open extents of the model are set by --extent, or guessed from their names and reported. If \
      there are several recipes, those that take longer than 10 seconds are skipped and reported.

        swiftlet plan model.onnx
        swiftlet plan detector.onnx --extent H=640 --extent W=640
        swiftlet plan model.onnx --recipe mine.yaml --json
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "YAML file with the steps to plan. Default: one recipe each for "
        + "\(CompressionPlan.usual.map(\.name).joined(separator: ", ")).",
      valueName: "file"))
  var recipe: String?

  @OptionGroup var open: ExtentOptions<NoData>

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var common: CommonOptions

  func run() throws {
    let recipes = try recipe.map { [(name: $0, recipe: try Recipe(reading: $0))] }
    let graph = try ONNXFile.read(model)
    let plan = try locating(model) {
      try CompressionPlan(
        graph, recipes ?? CompressionPlan.usual, threads: common.threads,
        latencies: LatencyCache(path: Cache.latencies),
        extents: open.extents(for: graph), progress: Console.progress)
    }
    if common.json { return try Console.json(plan) }
    Console.endProgress()
    Console.print(text(plan))
  }

  private func text(_ plan: CompressionPlan) -> String {
    let now = plan.rows[0]
    func number(_ value: Int?) -> String { value.map(String.init) ?? "" }
    let rows = plan.rows.filter { $0.fileBytes != nil }.map { row in
      let speedup = row.imagesPerSecond.flatMap { own in now.imagesPerSecond.map { own / $0 } }
      return [
        row.name, number(row.fileBytes), number(row.macs),
        row.latencyMs.map { fixed($0, 3) } ?? "", row.imagesPerSecond.map { fixed($0, 0) } ?? "",
        speedup.map { fixed($0, 2) } ?? "", number(row.changed),
      ]
    }
    let header = [
      "", "file bytes", "MACs", "ms, batch 1", "images/s, batch \(plan.batch)", "ratio",
      "layers changed",
    ]
    let remarks = plan.rows.compactMap { row in row.remark.map { "\(row.name): \($0)" } }
    let taken = plan.extents.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let extents = taken.isEmpty ? [] : ["with \(taken.joined(separator: ", "))"]
    return ([table([header] + rows)] + remarks + extents).joined(separator: "\n")
  }
}
