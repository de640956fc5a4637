import Swiftlet

/// `compress --data inputs:FILE.npz`, or without data: compresses a model for which there are no labels, and
/// compares its answers with the original's.
struct UnlabelledCompression {
  let context: CompressionContext
  let recipe: Recipe
  /// Whether the recipe's parts are tried as well.
  let isPreset: Bool
  /// Whether both models are timed.
  let times: Bool

  struct Report: Encodable {
    struct Side: Encodable {
      let fileBytes: Int
      let samplesPerSecond: Double?
    }
    let model, output: String
    /// Samples that the model was calibrated with.
    let samples: Int
    /// `nil` without samples.
    let agreement: Agreement?
    /// Whether the answers are to samples that nothing was calibrated with.
    let isHeldBack: Bool
    /// Samples that fill no batch of the model's.
    let leftOut: Int
    let before, after: Side
    let layers: [LayerReport]
    /// The models that a preset has tried.
    let candidates: [Candidate]?
    let verdict: CompressionVerdict

    init(
      model: String, output: String, samples: Int, agreement: Agreement?, isHeldBack: Bool,
      leftOut: Int, before: Side, after: Side, layers: [LayerReport],
      candidates: [Candidate]? = nil
    ) {
      (self.model, self.output, self.samples) = (model, output, samples)
      (self.agreement, self.isHeldBack, self.leftOut) = (agreement, isHeldBack, leftOut)
      (self.before, self.after, self.layers) = (before, after, layers)
      self.candidates = candidates
      let speeds = before.samplesPerSecond.flatMap { own in after.samplesPerSecond.map { $0 / own }
      }
      verdict = CompressionVerdict(
        layers: layers, bytes: (before.fileBytes, after.fileBytes), speedup: speeds,
        decibels: agreement?.decibels, drop: nil)
    }
  }

  /// A model that a preset has tried.
  struct Candidate: Encodable {
    let techniques: [Technique]
    let decibels: Double
    let speedup: Double?
    let chosen: Bool
  }

  /// Some samples to calibrate with, and others to compare answers on.
  private struct Split {
    let calibrating: Int
    /// The first sample that answers are compared on.
    let judged: Int

    /// A quarter is held back at least, unless there is one sample, or one batch of the model's, alone; nothing is
    /// where nobody looks at the samples before.
    init(_ source: CalibrationSource, wanted: Int?) {
      guard let wanted else {
        (calibrating, judged) = (0, 0)
        return
      }
      let unit = source.fixedBatch ?? 1
      let units = source.count / unit
      let held = max(units - max(1, wanted / unit), (units + 3) / 4)
      let used = (units > 1 ? units - held : units) * unit
      (calibrating, judged) = (used, units > 1 ? used : 0)
    }

    var isHeldBack: Bool { calibrating == 0 || judged > 0 }
  }

  /// - Parameter bytes: Of the original's files.
  func run(
    hasSamples: Bool, bytes: Int, model: String, output: String
  ) throws -> (graph: Graph, report: Report) {
    guard hasSamples else {
      let result = try Compressor(context).apply(recipe)
      return (
        result.graph,
        Report(
          model: model, output: output, samples: 0, agreement: nil, isHeldBack: false, leftOut: 0,
          before: Report.Side(fileBytes: bytes, samplesPerSecond: nil),
          after: Report.Side(
            fileBytes: try ONNXFile.serialized(result.graph).count, samplesPerSecond: nil),
          layers: result.layers)
      )
    }
    let graph = context.original
    let all = try context.calibration(for: graph)
    let split = Split(
      all, wanted: recipe.steps.filter(\.needsSamples).map(\.calibrationImages).max())
    var recipe = recipe
    for index in recipe.steps.indices where split.calibrating > 0 {
      recipe.steps[index].calibrationImages = min(
        recipe.steps[index].calibrationImages, split.calibrating)
    }
    let compressor = Compressor(context)
    let parts =
      isPreset ? try compressor.parts(of: recipe) : [try compressor.whole(recipe)]
    let agreements = try parts.map {
      try Agreement.measure(
        graph, $0.graph, all, from: split.judged, threads: context.threads,
        progress: context.progress)
    }
    let speeds =
      times ? try all.speeds(of: [graph] + parts.map(\.graph), threads: context.threads) : []
    let options = zip(agreements, parts.indices).map { agreement, index in
      PresetChoice.Option(
        speedup: speeds.isEmpty ? nil : speeds[index + 1] / speeds[0],
        accuracy: agreement.decibels,
        isAccurate: agreement.decibels >= CompressionVerdict.leastDecibels)
    }
    let index = isPreset ? PresetChoice.index(options) : 0
    let best = index.map { parts[$0].graph } ?? graph
    let candidates = zip(parts, options).enumerated().map { position, tried in
      Candidate(
        techniques: tried.0.recipe.steps.map(\.technique), decibels: tried.1.accuracy,
        speedup: tried.1.speedup, chosen: position == index)
    }
    return (
      best,
      Report(
        model: model, output: output, samples: split.calibrating,
        agreement: try index.map { agreements[$0] }
          ?? Agreement.measure(graph, graph, all, from: split.judged, threads: context.threads),
        isHeldBack: split.isHeldBack, leftOut: all.leftOut,
        before: Report.Side(fileBytes: bytes, samplesPerSecond: speeds.first),
        after: Report.Side(
          fileBytes: index == nil ? bytes : try ONNXFile.serialized(best).count,
          samplesPerSecond: speeds.isEmpty ? nil : speeds[index.map { $0 + 1 } ?? 0]),
        layers: index.map { parts[$0].layers } ?? [], candidates: isPreset ? candidates : nil)
    )
  }
}

extension UnlabelledCompression.Candidate {
  /// `lowrank, quantize: 12.4 dB, 0.76 times as fast`.
  fileprivate var text: String {
    let name = techniques.map(\.rawValue).joined(separator: ", ")
    let speed = speedup.map { ", \(fixed($0, 2)) times as fast" } ?? ""
    let accuracy = decibels.isFinite ? "\(fixed(decibels, 1)) dB" : "not finite"
    return "\(name): \(accuracy)\(speed)\(chosen ? ", taken" : "")"
  }
}

extension UnlabelledCompression.Report {
  var text: String {
    var rows = [
      ["", "before", "after"], ["file bytes", "\(before.fileBytes)", "\(after.fileBytes)"],
    ]
    if let speed = before.samplesPerSecond, let then = after.samplesPerSecond {
      rows.append(["samples/s", fixed(speed, 1), fixed(then, 1)])
    }
    let tried = candidates.map { ["tried"] + $0.map { "  \($0.text)" } + [""] } ?? []
    return
      (layers.map(\.line) + ["", table(rows), "", likeness, ""] + tried
      + ["wrote \(output)", "verdict: \(verdict.text)"]).joined(separator: "\n")
  }

  private var likeness: String {
    guard let agreement else { return "answers: not compared, there are no samples" }
    func count(_ number: Int) -> String { "\(number) sample\(number == 1 ? "" : "s")" }
    var samples = "on \(count(agreement.samples))"
    if !isHeldBack {
      samples += " that it was calibrated with: give more to see how it does on others"
    }
    if leftOut > 0 {
      samples +=
        " (\(leftOut) of \(agreement.samples + leftOut + (isHeldBack ? self.samples : 0)) "
        + "are left out: they fill no batch of the model's)"
    }
    return agreement.text(samples)
  }
}
