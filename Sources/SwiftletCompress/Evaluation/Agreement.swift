// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph
import SwiftletRuntime

/// How closely a model's outputs match those of another, for data without labels. The outputs of
/// the first model are the signal.
public struct Agreement: Sendable, Codable, Equatable {
  /// Signal-to-noise ratio of the worst output in dB, from −200 to 200; −∞ (`null` in JSON) if
  /// elements that are finite in the first model's outputs are not in the other's. If all outputs
  /// are integers, the fraction of elements that differ counts as the noise-to-signal ratio, so
  /// that models can be ranked; see ``equal``.
  @FiniteOrNull public private(set) var decibels: Double
  /// Fraction of the samples with the same top-1 class, for the worst output that holds scores
  /// (samples × classes); `nil` if none does.
  public let top1: Double?
  /// Fraction of equal elements of the worst output if all outputs are integers or booleans, which
  /// have no decibels; else `nil`.
  public let equal: Double?
  /// ``Output/cosine`` of the worst output; `nil` if none has one, and in reports of older
  /// versions.
  public private(set) var cosine: Double?
  /// Number of samples compared.
  public let samples: Int
  /// The comparison of each output, the worst first.
  public private(set) var outputs: [Output]
  /// The name of the first layer of the other model that produces NaN or infinite values from
  /// finite ones, if its outputs have such.
  public let brokenBy: String?

  /// The comparison of one output.
  public struct Output: Sendable, Codable, Equatable {
    public let name: String
    /// Signal-to-noise ratio in dB, as ``Agreement/decibels``; −∞ for integers and booleans.
    @FiniteOrNull public private(set) var decibels: Double
    /// The same ratio over the elements that are finite in both models' outputs.
    @FiniteOrNull public private(set) var finiteDecibels: Double
    /// Fraction of the samples with the same top-1 class; `nil` if the output is not samples ×
    /// classes of finite numbers, or if all rows are sorted in descending order, as the output of a
    /// top-k operator is.
    public let top1: Double?
    /// Fraction of equal elements of integers and booleans; `nil` for floating-point numbers.
    public let equal: Double?
    /// Cosine of the angle between both models' numbers for a sample, from −1 to 1, as a mean over
    /// the samples. Samples with elements that are not finite in the first model's outputs are left
    /// out; those with such elements only in the other's count as 0. `nil` for integers and
    /// booleans, if the first axis does not hold the samples or a sample has a single number, and
    /// in reports of older versions.
    public fileprivate(set) var cosine: Double?
    /// Number of elements seen, including those counted by ``undefined`` and ``broken``.
    public let elements: Int
    /// Number of elements that are not finite in the first model's outputs: they are left out.
    public let undefined: Int
    /// Number of elements that are finite there, but NaN or infinite in the other model's outputs.
    public let broken: Int
    /// Number of runs in which the outputs had different shapes or types, and could not be
    /// compared.
    public let reshaped: Int

    /// Whether its ``decibels`` are meaningful.
    var isMeasured: Bool { equal == nil && elements > 0 && (undefined < elements || broken > 0) }
  }

  /// Noise-to-signal ratio that corresponds to ``decibels``: power of the differences over that of
  /// the first model's outputs. Always finite; 10³⁰ if outputs are not.
  package var noiseToSignal: Double { SignalToNoise.noiseToSignal(decibels) }

  /// Runs both models on all samples and compares their outputs.
  ///
  /// Distances cover the samples in `judging`; whether outputs are finite is checked for all
  /// samples.
  ///
  /// - Parameters:
  ///   - original: The first model, whose outputs are the signal.
  ///   - other: The model to compare with it.
  ///   - source: The samples, and the outputs to compare.
  ///   - otherSource: The same samples as the other model takes them; `nil`: as the first does.
  ///   - judging: Indices of the samples to compare; `nil`: all.
  ///   - threads: The threads of both models.
  ///   - progress: Called after each batch.
  /// - Throws: `badInput` if an output does not exist in both models, `unsupported` if they take
  ///   different fixed numbers of samples at once, and the errors of running a session.
  public static func measure(
    _ original: Graph, _ other: Graph, _ source: CalibrationSource,
    otherSource: CalibrationSource? = nil, judging: Range<Int>? = nil,
    threads: Threads = .available, progress: Progress.Handler? = nil
  ) throws -> Agreement {
    let names = try source.judgedOutputs(of: original)
    let sessions = try [original, other].map { try Session($0, threads: threads) }
    var sums = names.map { OutputSums(name: $0) }
    var samples = 0
    var breaking: [String: AnyTensor]?
    let leading = try source.leading(with: otherSource)
    func compare(
      _ inputs: [String: AnyTensor], _ range: Range<Int>, isJudged: Bool
    ) throws {
      let others = try otherSource?.inputs(range) ?? inputs
      let results = [try sessions[0].run(inputs), try sessions[1].run(others)]
      for index in sums.indices {
        let name = sums[index].name
        guard let answer = results[0][name], let own = results[1][name] else {
          throw SwiftletError(
            .badInput, "the models have different outputs", at: "output '\(name)'",
            fix: "compare an output that both have, with --judged-output NAME")
        }
        sums[index].add(answer, own, samples: range.count, isJudged: isJudged)
      }
      if breaking == nil, otherSource == nil, sums.contains(where: { $0.ratio.broken > 0 }) {
        breaking = inputs
      }
    }
    let judged = judging ?? 0..<leading.count
    for (start, end) in [(0, judged.lowerBound), (judged.upperBound, leading.count)] {
      try source.forEachBatch(from: start, to: end, asOf: leading) { inputs, range in
        try compare(inputs, range, isJudged: false)
        try progress?(Progress("check", completed: range.upperBound, total: leading.count))
      }
    }
    try source.forEachBatch(
      from: judged.lowerBound, to: judged.upperBound, asOf: leading
    ) { inputs, range in
      try compare(inputs, range, isJudged: true)
      samples += range.count
      try progress?(Progress("compare", completed: range.upperBound, total: leading.count))
    }
    let layer = breaking.flatMap { BreakingLayer.find(original, other, $0, threads) }
    return Agreement(sums.map(\.output), samples: samples, brokenBy: layer)
  }

  private init(_ outputs: [Output], samples: Int, brokenBy: String?) {
    func noise(_ output: Output) -> Double {
      if output.isMeasured { return SignalToNoise.noiseToSignal(output.decibels) }
      // After all outputs with a ratio, the most different one first.
      return -(output.equal ?? -1)
    }
    self.outputs = outputs.enumerated().sorted { a, b in
      (noise(b.element), a.offset) < (noise(a.element), b.offset)
    }.map(\.element)
    self.samples = samples
    self.brokenBy = brokenBy
    top1 = outputs.compactMap(\.top1).min()
    cosine = outputs.compactMap(\.cosine).min()
    let measured = outputs.filter(\.isMeasured).map(\.decibels)
    equal = measured.isEmpty ? outputs.compactMap(\.equal).min() : nil
    decibels =
      measured.min() ?? equal.map { SignalToNoise(signal: 1, noise: 1 - $0).decibels }
      ?? -.infinity
  }

  /// Whether the measurements are those recorded, perhaps by an older version, which measured no
  /// cosines.
  package func isSame(as recorded: Agreement) -> Bool {
    guard recorded.cosine == nil else { return self == recorded }
    var own = self
    own.cosine = nil
    own.outputs = outputs.map { output in
      var output = output
      output.cosine = nil
      return output
    }
    return own == recorded
  }
}

/// Sums for one output over all batches.
private struct OutputSums {
  let name: String
  var ratio = SignalToNoise()
  private var cosines = CosineSum()
  private var reshaped = 0
  private var elements = 0
  private var isFloat = true
  private var equal = 0
  /// Rows of scores that are finite, and those with the same top-1 class.
  private var (rows, same) = (0, 0)
  private var holdsScores = true
  /// Pairs of neighbouring scores in a row, and those in descending order.
  private var (steps, descending) = (0, 0)

  init(name: String) { self.name = name }

  mutating func add(
    _ answer: AnyTensor, _ other: AnyTensor, samples: Int, isJudged: Bool
  ) {
    guard isJudged else { return addBroken(answer, other) }
    guard answer.shape == other.shape, answer.dtype == other.dtype else {
      reshaped += 1
      return
    }
    elements += answer.shape.count
    switch (answer, other) {
    case (.float32(let a), .float32(let b)):
      ratio.add(a, b)
      cosines.add(a, b, samples: samples)
      addScores(a, b)
    case (.float64(let a), .float64(let b)):
      ratio.add(a, b)
      cosines.add(a, b, samples: samples)
      addScores(a, b)
    default:
      isFloat = false
      holdsScores = false
      let (a, b) = (answer.converted(to: .float64), other.converted(to: .float64))
      if case .float64(let a) = a, case .float64(let b) = b {
        equal += zip(a.elements, b.elements).count { $0 == $1 || $0.isNaN && $1.isNaN }
      }
    }
  }

  private mutating func addBroken(_ answer: AnyTensor, _ other: AnyTensor) {
    guard answer.shape == other.shape else { return }
    let before = ratio.count
    switch (answer, other) {
    case (.float32(let a), .float32(let b)): ratio.addBroken(a, b)
    case (.float64(let a), .float64(let b)): ratio.addBroken(a, b)
    default: return
    }
    elements += ratio.count - before
  }

  /// Compares the top-1 class of each row. A row with scores that are not finite in the first
  /// outputs is left out; a row with such scores only in the other outputs counts as different.
  private mutating func addScores<T: FloatElement>(_ answers: Tensor<T>, _ others: Tensor<T>) {
    guard answers.shape.rank == 2, answers.shape[1] > 1, holdsScores else {
      holdsScores = false
      return
    }
    let (x, y) = (answers.contiguous(), others.contiguous())
    let width = answers.shape[1]
    for row in 0..<answers.shape[0] {
      let range = row * width..<(row + 1) * width
      guard let best = Self.largest(x.span.extracting(range)) else { continue }
      rows += 1
      steps += width - 1
      descending += range.dropLast().count { x.span[$0] >= x.span[$0 + 1] }
      if Self.largest(y.span.extracting(range)) == best { same += 1 }
    }
  }

  /// Whether all rows are sorted, and long enough to exclude chance: then their first element is
  /// the largest by definition.
  private var areSorted: Bool { steps == descending && steps >= 8 }

  /// The index of the first largest element; `nil` if an element is NaN or infinite.
  private static func largest<T: FloatElement>(_ scores: Span<T>) -> Int? {
    var best = 0
    for i in scores.indices {
      if !scores[i].isFinite { return nil }
      if scores[i] > scores[best] { best = i }
    }
    return best
  }

  var output: Agreement.Output {
    Agreement.Output(
      name: name, decibels: isFloat && elements > 0 ? ratio.decibels : -.infinity,
      finiteDecibels: isFloat && elements > 0 ? ratio.finiteDecibels : -.infinity,
      top1: holdsScores && rows > 0 && !areSorted ? Double(same) / Double(rows) : nil,
      equal: isFloat ? nil : Double(equal) / Double(max(1, elements)),
      cosine: isFloat ? cosines.mean : nil, elements: elements,
      undefined: ratio.undefined, broken: ratio.broken, reshaped: reshaped)
  }
}

extension Agreement {
  private enum CodingKeys: String, CodingKey {
    case decibels, top1, equal, cosine, samples, outputs, brokenBy
  }

  // Encodes unknown values as null instead of omitting them.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(_decibels, forKey: .decibels)
    try container.encode(top1, forKey: .top1)
    try container.encode(equal, forKey: .equal)
    try container.encode(cosine, forKey: .cosine)
    try container.encode(samples, forKey: .samples)
    try container.encode(outputs, forKey: .outputs)
    try container.encode(brokenBy, forKey: .brokenBy)
  }
}

extension Agreement.Output {
  private enum CodingKeys: String, CodingKey {
    case name, decibels, finiteDecibels, top1, equal, cosine, elements, undefined, broken, reshaped
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(_decibels, forKey: .decibels)
    try container.encode(_finiteDecibels, forKey: .finiteDecibels)
    try container.encode(top1, forKey: .top1)
    try container.encode(equal, forKey: .equal)
    try container.encode(cosine, forKey: .cosine)
    try container.encode(elements, forKey: .elements)
    try container.encode(undefined, forKey: .undefined)
    try container.encode(broken, forKey: .broken)
    try container.encode(reshaped, forKey: .reshaped)
  }
}
