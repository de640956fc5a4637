// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph
import SwiftletRuntime

/// How much a model's answers resemble another's, where no labels say which ones are right. The
/// first model's answers are the signal.
public struct Agreement: Sendable, Codable, Equatable {
  /// Signal to noise of the worst output, in dB, from −200 to 200; −∞ (`null` in JSON) where
  /// numbers that are finite in the first model's answers are not in the other's. If all outputs
  /// are integers, the fraction of elements that differ counts as noise over signal, so that models
  /// can be ranked; see ``equal``.
  @FiniteOrNull public private(set) var decibels: Double
  /// Fraction of the samples with the same largest score, of the worst output that holds scores
  /// (samples × classes); `nil` if none does.
  public let top1: Double?
  /// Fraction of the elements that are equal, of the worst output, if all are integers or truth
  /// values, which have no decibels; else `nil`.
  public let equal: Double?
  /// Samples compared.
  public let samples: Int
  /// Each output by itself, the worst first.
  public let outputs: [Output]
  /// The first layer of the other model that makes NaN or infinite values of finite ones, if its
  /// answers have such.
  public let brokenBy: String?

  /// One output.
  public struct Output: Sendable, Codable, Equatable {
    public let name: String
    /// Of floating-point numbers: signal to noise in dB, as ``Agreement/decibels``.
    @FiniteOrNull public private(set) var decibels: Double
    /// Of those elements that are finite in both models' answers.
    @FiniteOrNull public private(set) var finiteDecibels: Double
    /// Fraction of the samples with the same largest score; `nil` where the output is not samples ×
    /// classes of finite numbers, or all rows are in descending order, as those of the largest
    /// elements are.
    public let top1: Double?
    /// Of integers and truth values: the fraction of elements that are equal.
    public let equal: Double?
    public let elements: Int
    /// Elements that are not finite in the first model's answers: they are left out.
    public let undefined: Int
    /// Elements that are finite there, and NaN or infinite in the other model's answers.
    public let broken: Int
    /// Runs in which the models gave results of different shapes, which cannot be compared.
    public let reshaped: Int

    /// Whether its ``decibels`` mean anything.
    var isMeasured: Bool { equal == nil && elements > 0 && (undefined < elements || broken > 0) }
  }

  /// ``decibels`` as a ratio: power of the differences over that of the first model's answers.
  /// Finite, and largest where answers are not.
  package var noiseToSignal: Double { SignalToNoise.noiseToSignal(decibels) }

  /// Runs both models over all samples, and compares the outputs that the source names. Distances
  /// are those of the samples in `judging`, by default of all; that answers are finite is asked of
  /// all.
  ///
  /// - Throws: `badInput` for an output that is not there; what running a session throws.
  public static func measure(
    _ original: Graph, _ other: Graph, _ source: CalibrationSource, judging: Range<Int>? = nil,
    threads: Threads = .available, progress: Progress.Handler? = nil
  ) throws -> Agreement {
    let names = try source.judgedOutputs(of: original)
    let sessions = try [original, other].map { try Session($0, threads: threads) }
    var sums = names.map { OutputSums(name: $0) }
    var samples = 0
    var breaking: [String: AnyTensor]?
    func compare(_ inputs: [String: AnyTensor], isJudged: Bool) throws {
      let results = try sessions.map { try $0.run(inputs) }
      for index in sums.indices {
        let name = sums[index].name
        guard let answer = results[0][name], let own = results[1][name] else {
          throw SwiftletError(
            .badInput, "the models have different outputs", at: "output '\(name)'")
        }
        sums[index].add(answer, own, isJudged: isJudged)
      }
      if breaking == nil, sums.contains(where: { $0.ratio.broken > 0 }) { breaking = inputs }
    }
    let judged = judging ?? 0..<source.count
    for (start, end) in [(0, judged.lowerBound), (judged.upperBound, source.count)] {
      try source.forEachBatch(from: start, to: end) { inputs, _ in
        try compare(inputs, isJudged: false)
      }
    }
    try source.forEachBatch(from: judged.lowerBound, to: judged.upperBound) { inputs, range in
      try compare(inputs, isJudged: true)
      samples += range.count
      try progress?(Progress("compare", completed: range.upperBound, total: source.count))
    }
    let layer = breaking.flatMap { BreakingLayer.find(original, other, $0, threads) }
    return Agreement(sums.map(\.output), samples: samples, brokenBy: layer)
  }

  private init(_ outputs: [Output], samples: Int, brokenBy: String?) {
    func noise(_ output: Output) -> Double {
      if output.isMeasured { return SignalToNoise.noiseToSignal(output.decibels) }
      // Behind all that have a ratio; what differs most first.
      return -(output.equal ?? -1)
    }
    self.outputs = outputs.enumerated().sorted { a, b in
      (noise(b.element), a.offset) < (noise(a.element), b.offset)
    }.map(\.element)
    self.samples = samples
    self.brokenBy = brokenBy
    top1 = outputs.compactMap(\.top1).min()
    let measured = outputs.filter(\.isMeasured).map(\.decibels)
    equal = measured.isEmpty ? outputs.compactMap(\.equal).min() : nil
    decibels =
      measured.min() ?? equal.map { SignalToNoise(signal: 1, noise: 1 - $0).decibels }
      ?? -.infinity
  }
}

/// What adds up over the batches of one output.
private struct OutputSums {
  let name: String
  var ratio = SignalToNoise()
  private var reshaped = 0
  private var elements = 0
  private var isFloat = true
  private var equal = 0
  /// Rows of scores, those that can be told, and those with the same largest element.
  private var (rows, same) = (0, 0)
  private var holdsScores = true
  /// Steps from one score to the next one in a row, and those that do not go up.
  private var (steps, descending) = (0, 0)

  init(name: String) { self.name = name }

  mutating func add(_ answer: AnyTensor, _ other: AnyTensor, isJudged: Bool) {
    guard isJudged else { return addBroken(answer, other) }
    guard answer.shape == other.shape, answer.dtype == other.dtype else {
      reshaped += 1
      return
    }
    elements += answer.shape.count
    switch (answer, other) {
    case (.float32(let a), .float32(let b)):
      ratio.add(a, b)
      addScores(a, b)
    case (.float64(let a), .float64(let b)):
      ratio.add(a, b)
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

  /// Compares the largest scores of each row. A row whose scores are not all finite in the first
  /// answers is left out; one that has such in the others alone has no first choice.
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

  /// Whether rows are sorted, so many that it is no chance: their first element is the largest by
  /// definition.
  private var areSorted: Bool { steps == descending && steps >= 8 }

  /// The position of the largest element, the first of several; `nil` if one is NaN or infinite.
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
      equal: isFloat ? nil : Double(equal) / Double(max(1, elements)), elements: elements,
      undefined: ratio.undefined, broken: ratio.broken, reshaped: reshaped)
  }
}

extension Agreement {
  private enum CodingKeys: String, CodingKey {
    case decibels, top1, equal, samples, outputs, brokenBy
  }

  // What is not known is null, not missing.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(_decibels, forKey: .decibels)
    try container.encode(top1, forKey: .top1)
    try container.encode(equal, forKey: .equal)
    try container.encode(samples, forKey: .samples)
    try container.encode(outputs, forKey: .outputs)
    try container.encode(brokenBy, forKey: .brokenBy)
  }
}

extension Agreement.Output {
  private enum CodingKeys: String, CodingKey {
    case name, decibels, finiteDecibels, top1, equal, elements, undefined, broken, reshaped
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(_decibels, forKey: .decibels)
    try container.encode(_finiteDecibels, forKey: .finiteDecibels)
    try container.encode(top1, forKey: .top1)
    try container.encode(equal, forKey: .equal)
    try container.encode(elements, forKey: .elements)
    try container.encode(undefined, forKey: .undefined)
    try container.encode(broken, forKey: .broken)
    try container.encode(reshaped, forKey: .reshaped)
  }
}
