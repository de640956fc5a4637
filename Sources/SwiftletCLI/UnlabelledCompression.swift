import Swiftlet

/// `compress --data inputs:FILE.npz`: compresses a model for which there are inputs but no labels, and
/// compares its answers with the original's.
struct UnlabelledCompression {
  let context: CompressionContext
  let recipe: Recipe

  struct Report: Encodable {
    struct Side: Encodable {
      let fileBytes: Int
      let samplesPerSecond: Double
    }
    let model, output: String
    let samples: Int
    let agreement: Agreement
    let before, after: Side
    let layers: [LayerReport]
  }

  /// - Parameter inputs: Arrays by input name. Answers are compared on the samples behind those that
  ///   are calibrated with; on all, if there are no more.
  func run(
    _ inputs: [String: AnyTensor], model: String, output: String
  ) throws -> (graph: Graph, report: Report) {
    let graph = context.original
    let seen = recipe.steps.map(\.calibrationImages).max() ?? 0
    let all = try CalibrationSource(inputs, for: graph)
    let result = try Compressor(context).apply(recipe)
    let agreement = try Agreement.measure(
      graph, result.graph, all, from: all.count > seen ? seen : 0, threads: context.threads)
    let speeds = try all.speeds(of: [graph, result.graph], threads: context.threads)
    func side(_ graph: Graph, _ speed: Double) throws -> Report.Side {
      Report.Side(fileBytes: try ONNXFile.serialized(graph).count, samplesPerSecond: speed)
    }
    return (
      result.graph,
      Report(
        model: model, output: output, samples: min(seen, all.count), agreement: agreement,
        before: try side(graph, speeds[0]), after: try side(result.graph, speeds[1]),
        layers: result.layers)
    )
  }
}

extension UnlabelledCompression.Report {
  var text: String {
    let comparison = table([
      ["", "before", "after"],
      ["file bytes", "\(before.fileBytes)", "\(after.fileBytes)"],
      ["samples/s", fixed(before.samplesPerSecond, 1), fixed(after.samplesPerSecond, 1)],
    ])
    let likeness =
      "answers: \(fixed(agreement.decibels, 1)) dB, the same first choice in "
      + "\(fixed(agreement.top1 * 100, 2)) % of \(agreement.samples) samples"
    return (layers.map(\.line) + ["", comparison, "", likeness, "", "wrote \(output)"]).joined(
      separator: "\n")
  }
}
