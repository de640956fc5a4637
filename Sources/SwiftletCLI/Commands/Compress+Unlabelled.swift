// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

extension Compress {
  /// Compresses a model without training: its answers are compared with the original's, and judged
  /// by the metric, which may use labels.
  func compress(
    _ graph: Graph, _ recipe: Recipe, _ data: ImageDataset?,
    leavingOut damaged: DamagedPictures?
  ) throws {
    guard data != nil || preprocess.preprocess == nil else {
      throw SwiftletError(
        .unsupported, "--preprocess needs images", at: model, fix: "leave it out, or give --data")
    }
    var graph = graph
    if let data { try locating(model) { try preprocess.prepare(&graph, model, for: data) } }
    let origin = try Manifest.File(model)
    let latencies = LatencyCache(path: Cache.latencies)
    var use = Manifest.Use(data: self.data.data)
    (use.judge, use.split, use.outputs) = (judging.judge, judging.split, samples.judgedOutput)
    use.fixed = samples.fixed.map(\.text)
    let metric = try metric.metric ?? (data?.hasLabels == true ? .top1 : nil)
    use.metric = metric?.name
    if let data, preprocess.preprocess != nil {
      use.preprocessing = try Preprocessing.stored(in: graph, images: data)
    }
    var (all, judges): (Manifest.Samples?, Manifest.Samples?)
    var context: CompressionContext
    if let data {
      let fixed = try samples.fixedInputs()
      let others = try judging.samples(
        self.data, leavingOut: damaged,
        mayHaveLabels: data.hasLabels || metric?.ignoresLabels == true)
      use.damaged = damaged?.pictures.count
      context = CompressionContext(
        original: graph, samples: data, fixed: fixed, judging: others, share: judging.split,
        threads: common.threads, seed: seed, latencies: latencies, outputs: samples.judgedOutput,
        progress: Console.progress)
      let source = try locating(model) {
        try CalibrationSource(data, for: graph, fixed: fixed, threads: common.threads)
      }
      all = try Manifest.Samples(data, source, progress: Console.progress)
      if let others {
        let judged = try CalibrationSource(
          others, for: graph, fixed: fixed, threads: common.threads)
        judges = try Manifest.Samples(others, judged, progress: Console.progress)
        let shared = try source.shared(with: judged, progress: Console.progress)
        let overlap =
          "\(shared) of the \(judged.count) samples to judge on are also used for calibration"
        guard shared == 0 || judging.judge == nil else {
          throw SwiftletError(
            .badInput, overlap, at: judging.judge,
            fix: "give --judge other samples than --data, or split those of --data with --split")
        }
        if shared > 0 { Console.warn(overlap) }
      }
    } else {
      context = CompressionContext(
        original: graph, threads: common.threads, seed: seed, progress: Console.progress)
    }
    context.fileBytes = try ONNXFile.byteCount(model)
    context.metric = metric
    if !graph.extents.isEmpty { use.extents = graph.extents }
    // Mixed precision depends on what it is judged on, too.
    let stages = try stages(
      context, use, data: [all, judges].compactMap { $0?.sha256 }.joined(separator: " "))
    let compressor = Compressor(context, goals: goals, stages: stages)
    let result = try interruptible {
      preset == nil
        ? try compressor.runUnlabelled(compressor.mixing(recipe), times: !noTiming)
        : try compressor.runUnlabelled(preset: recipe, times: !noTiming)
    }
    try ONNXFile.write(result.graph, to: output)
    var report = UnlabelledReport(
      result, model: model, output: output, threads: common.threads.count, machine: Machine.summary)
    report.damaged = use.damaged
    try Manifest(
      version: Version.number, threads: common.threads.count, seed: seed, model: origin, use: use,
      samples: all, judges: judges, latencies: latencies, output: Manifest.File(output),
      answers: report
    ).write(to: manifest)
    stages.remove()
    if let path = self.report { try AtomicFile.write(report.html, to: path) }
    if common.json { return try Console.json(report) }
    Console.endProgress()
    Console.print(report.text)
  }
}

extension UnlabelledReport {
  fileprivate var text: String {
    var rows = [
      ["", "before", "after"], ["file bytes", "\(before.fileBytes)", "\(after.fileBytes)"],
    ]
    if let metric { rows.append(metric.cells) }
    if let macs = before.macs, let then = after.macs {
      rows.append(["MACs", "\(macs)", "\(then)"])
    }
    if let speed = before.samplesPerSecond, let then = after.samplesPerSecond {
      rows.append(["samples/s", fixed(speed, 1), fixed(then, 1)])
    }
    let tried =
      candidates.map {
        ["tried"] + $0.map { "  \($0.text(metric, equals: agreement?.equal != nil))" } + [""]
      } ?? []
    return
      (layers.map(\.line) + ["", table(rows), "", likeness]
      + (metric.map { ["\($0.metric.name): \($0.drops), on \($0.samples) samples"] } ?? []) + [""]
      + tried
      + ["wrote \(output)", "verdict: \(verdict.text)"]).joined(separator: "\n")
  }

  private var likeness: String {
    guard let agreement, let division else {
      return "answers: not compared, as there are no samples"
    }
    return agreement.text(division)
  }
}

extension UnlabelledResult.Candidate {
  /// `lowrank, quantize: 12.4 dB, 0.76 times as fast`.
  fileprivate func text(_ metric: MetricReport?, equals: Bool) -> String {
    let name = label ?? techniques.map(\.rawValue).joined(separator: ", ")
    var parts = [
      metric.flatMap { $0.text(ofCandidate: score) },
      decibels.map { Agreement.likeness($0, equals: equals) },
      speedup.map { "\(fixed($0, 2)) times as fast" },
    ].compactMap { $0 }
    if chosen { parts.append("chosen") }
    // Reports of older versions give no reason.
    if decibels == nil { parts.append(reason ?? "not finite") }
    return "\(name): \(parts.joined(separator: ", "))"
  }
}
