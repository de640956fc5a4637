// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftletCharts
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime

/// Chooses fp32, bf16, int8 or int4 weights for each layer.
///
/// It measures how much each layer alone damages the model's answers, and its time in fp32, bf16
/// and int8. Starting from int8 everywhere, it returns layers to floats in the order of damage per
/// millisecond saved, as few as keep the accuracy drop within the limit: to bf16 where that is
/// faster than fp32, or all to fp32 if bf16 loses too much. Then it moves layers to int4 in the
/// order of damage per byte saved, as many as the limit allows. Both counts are found by bisection,
/// and each candidate is judged by a ``PairedTest`` on the images or samples to judge on: the upper
/// confidence bound of the drop must stay within the limit.
///
/// - Source: Wang et al. 2019, arXiv:1811.08886, for measuring latency instead of modelling it; Wu
///   et al. 2020, arXiv:2004.09602, section 6, for leaving out the most sensitive layers.
struct MixedPrecision {
  private var settings: QuantizationSettings
  /// The accepted drop of the metric, in percentage points or in the unit of the score.
  let maxDrop: Double
  /// Confidence level for ``maxDrop``, as a fraction.
  private let confidence: Double
  let context: CompressionContext
  private let log = Logger.swiftlet("compress")

  init(_ settings: QuantizationSettings, maxDrop: Double, _ context: CompressionContext) {
    (self.settings, self.maxDrop, self.context) = (settings, maxDrop, context)
    confidence = settings.mixedConfidence ?? PairedTest.confidence
    (self.settings.mixedDrop, self.settings.mixedConfidence) = (nil, nil)
  }

  /// A layer and its measurements.
  private struct Candidate {
    let name: String
    /// Noise-to-signal ratio of the model's answers with only this layer in int8, and in int4.
    let damage8, damage4: Double
    /// Whether bf16 is faster than fp32.
    let prefersBFloat: Bool
    /// Milliseconds per batch that int8 saves over the faster of fp32 and bf16.
    let saved: Double
    /// Bytes that int4 saves over int8.
    let bytes: Double
  }

  /// Names of the layers that are not quantized to integers.
  private struct Floats {
    var fp32: [String] = []
    var bf16: [String] = []

    var names: Set<String> { Set(fp32 + bf16) }
  }

  /// A quantized model and its accuracy.
  private struct Trial {
    let graph: Graph
    let layers: [LayerReport]
    let test: PairedTest
    /// Upper confidence bound of the drop, in the unit of ``PairedTest/drop``.
    let bound: Double
  }

  /// Quantizes the graph.
  ///
  /// - Throws: `unsupported` if the limit cannot be confirmed even with all layers but one in
  ///   floats.
  func apply(
    to graph: Graph, _ source: CalibrationSource
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let judge = try context.judge ?? context.makeJudge(needsBound: true)
    let before = try judge.judge(graph)
    let candidates = try measured(graph, source)
    func attempt(_ floats: Floats, int4: [String]) throws -> Trial {
      var own = settings
      own.keep += floats.fp32
      own.bf16 += floats.bf16
      own.int4 += int4
      let result = try Quantizer(own, threads: context.threads).apply(to: graph, source)
      let test = PairedTest(before, try judge.judge(result.graph))
      log.notice(
        """
        \(floats.fp32.count) layers fp32, \(floats.bf16.count) bf16, \(int4.count) int4: \
        \(test.summary(confidence: confidence)) on \(test.images) \(test.unit)
        """)
      return Trial(
        graph: result.graph, layers: result.layers, test: test,
        bound: test.upperBound(confidence: confidence))
    }
    let back = candidates.sorted {
      $0.damage8 / max($0.saved, 1e-6) > $1.damage8 / max($1.saved, 1e-6)
    }
    let none = try attempt(Floats(), int4: [])
    let (floats, first) = try fewest(of: back, none) { try attempt($0, int4: []) }
    let onward = candidates.filter { !floats.names.contains($0.name) }
      .sorted { $0.damage4 / max($0.bytes, 1) < $1.damage4 / max($1.bytes, 1) }.map(\.name)
    let chosen = try most(of: onward, first) { try attempt(floats, int4: $0) }
    return (chosen.graph, chosen.layers)
  }

  // MARK: Measuring

  private func measured(_ graph: Graph, _ source: CalibrationSource) throws -> [Candidate] {
    var int4 = settings
    int4.bits = 4
    let (int8Damages, int4Damages) = (
      try Sensitivity.measure(
        graph, settings, source, threads: context.threads, progress: context.progress),
      try Sensitivity.measure(
        graph, int4, source, threads: context.threads, progress: context.progress)
    )
    let simple = graph.simplified()
    let halves = try BFloatLayers(int8Damages.layers.map(\.layer)).apply(to: simple).graph
    let whole = try Quantizer(settings, threads: context.threads).apply(to: graph, source).graph
    let (fp32, bf16, int8) = (
      try milliseconds(simple, source), try milliseconds(halves, source),
      try milliseconds(whole, source)
    )
    return zip(int8Damages.layers, int4Damages.layers).map { layer, coarse in
      let name = layer.layer
      let (full, half) = (fp32[name] ?? 0, bf16[name] ?? .infinity)
      return Candidate(
        name: name, damage8: layer.noiseToSignal, damage4: coarse.noiseToSignal,
        prefersBFloat: half < full, saved: min(full, half) - (int8[name] ?? 0),
        bytes: Double(layer.weights) / 2)
    }
  }

  /// Milliseconds of each layer for one batch on one thread, by the name of its node.
  private func milliseconds(
    _ graph: Graph, _ source: CalibrationSource
  ) throws -> [String: Double] {
    let profile = try Session(graph, threads: .serial).profile(source.sample())
    let names = Dictionary(
      graph.nodes.map { ($0.label, $0.reportName) }
    ) { first, _ in first }
    return Dictionary(
      profile.compactMap { row in names[row.layer].map { ($0, row.milliseconds) } },
      uniquingKeysWith: +)
  }

  // MARK: Bisection

  /// The shortest prefix of candidates to return to floats so that the trial stays within the
  /// limit, by bisection.
  ///
  /// - Parameter none: The trial with no layer in floats.
  private func fewest(
    of candidates: [Candidate], _ none: Trial, _ attempt: (Floats) throws -> Trial
  ) throws -> (Floats, Trial) {
    if none.bound <= maxDrop { return (Floats(), none) }
    for allowsBFloats in candidates.contains(where: \.prefersBFloat) ? [true, false] : [false] {
      func floats(_ count: Int) -> Floats {
        let back = candidates[..<count]
        let halves = back.filter { allowsBFloats && $0.prefersBFloat }
        let whole = back.filter { !(allowsBFloats && $0.prefersBFloat) }
        return Floats(fp32: whole.map(\.name), bf16: halves.map(\.name))
      }
      var (low, high) = (0, candidates.count)
      var best: Trial?
      while low + 1 < high {
        let middle = (low + high) / 2
        let trial = try attempt(floats(middle))
        if trial.bound <= maxDrop { (high, best) = (middle, trial) } else { low = middle }
      }
      if let best { return (floats(high), best) }
    }
    let (test, label) = (none.test, none.test.metric ?? Metric.top1.label)
    let limit = "\(label.text(ofDrop: maxDrop))\(label.unit)"
    let level = plain((confidence * 1e5).rounded() / 1e3)
    throw SwiftletError(
      .unsupported,
      "no choice of layers surely keeps the \(label.loss) below \(limit): int8 everywhere loses "
        + "\(label.text(ofDrop: test.drop)), below \(label.text(ofDrop: none.bound)) with "
        + "\(level) % confidence on \(test.images) \(test.unit)",
      fix: "allow more \(label.loss), judge on more \(test.unit), or ask for less --confidence"
        + (context.hasLabels ? ", or use qatEpochs 1 (--qat-epochs 1)" : ""))
  }

  /// The trial of the longest prefix of names that stays within the limit, by bisection.
  ///
  /// - Parameter first: The trial with none of them.
  private func most(
    of names: [String], _ first: Trial, _ attempt: ([String]) throws -> Trial
  ) throws -> Trial {
    var (low, high, best) = (0, names.count + 1, first)
    while low + 1 < high {
      let middle = (low + high) / 2
      let trial = try attempt(Array(names[..<middle]))
      if trial.bound <= maxDrop { (low, best) = (middle, trial) } else { high = middle }
    }
    return best
  }
}

extension Compressor {
  /// The recipe to run for a largest drop that is relative to the original's score: quantize alone
  /// then chooses the precision of each layer so that the drop stays within it. Other recipes stay
  /// as they are.
  ///
  /// - Throws: The errors of judging the original.
  public func mixing(_ recipe: Recipe) throws -> Recipe {
    guard case .relative? = goals.maxDrop, recipe.steps.count == 1,
      var settings = recipe.steps[0][QuantizationSettings.self], settings.canMix,
      settings.mixedDrop == nil
    else { return recipe }
    let held = try context.holdingBack(for: recipe)
    let judge = try (held?.context ?? context).makeJudge(needsBound: false)
    settings.mixedDrop = try goals.maxDrop?.value(of: judge.judgeOriginal())
    settings.mixedConfidence = goals.confidence
    var mixed = recipe
    mixed.steps[0][QuantizationSettings.self] = settings
    return mixed
  }
}
