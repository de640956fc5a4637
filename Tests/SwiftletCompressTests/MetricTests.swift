// SPDX-License-Identifier: Apache-2.0

import SwiftletCompress
import SwiftletCore
import Testing
import _SwiftletTestSupport

/// Scores of metrics, against those computed by hand or with NumPy and SciPy.
struct MetricTests {
  /// The result of a metric for some batches.
  static func result(
    _ metric: Metric, _ batches: [MetricBatch], needsBound: Bool = false
  ) throws -> MetricResult {
    guard case .scorer(let make) = metric.kind else {
      throw SwiftletError(.internal, "\(metric.name) has no scorer")
    }
    let samples = batches.reduce(0) { $0 + $1.samples.count }
    var scorer = try make(MetricSetting(samples: samples, needsBound: needsBound))
    for batch in batches { try scorer.add(batch) }
    return try scorer.finish()
  }

  private func units(_ result: MetricResult) -> [Double] {
    if case .units(let units, _) = result.evidence { units } else { [] }
  }

  private func floats(_ shape: Shape, _ elements: [Float]) -> AnyTensor {
    .float32(Tensor(shape, elements))
  }

  private func batch(
    _ outputs: [String: AnyTensor], _ original: [String: AnyTensor] = [:],
    targets: [String: AnyTensor] = [:], from first: Int = 0, count: Int
  ) -> MetricBatch {
    MetricBatch(
      outputs: outputs, samples: first..<first + count, targets: targets, original: original)
  }

  // MARK: Agreement

  @Test func agreementTakesTheWorstOutput() throws {
    let original: [String: AnyTensor] = [
      "scores": floats([4, 3], [1, 2, 3, 3, 2, 1, 1, 5, 5, 0, 1, 0]),
      "boxes": floats([4, 2, 1], [1, 0, 1, 0, 1, 0, 0, 2]),
      "ids": .int64(Tensor([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])),
    ]
    let own: [String: AnyTensor] = [
      // The same choice, another one, the first of two equal ones, the same.
      "scores": floats([4, 3], [0, 0, 9, 1, 2, 0, 0, 7, 7, -1, 0, -1]),
      // Cosines 1, 1, 0.6 and −1, of which at least 0 counts.
      "boxes": floats([4, 2, 1], [2, 0, 1, 0, 3, 4, 0, -2]),
      "ids": .int64(Tensor([4, 2], [1, 2, 3, 4, 5, 0, 7, 8])),
    ]
    let found = units(try Self.result(.agreement, [batch(own, original, count: 4)]))
    for (score, wanted) in zip(found, [1, 0, 0.5, 0]) { #expect(abs(score - wanted) < 1e-12) }
    let same = try Self.result(.agreement, [batch(original, original, count: 4)])
    #expect(same.score == 1 && units(same) == [1, 1, 1, 1])
    // Batches follow one another.
    let two = [batch(own, original, count: 4), batch(original, original, from: 4, count: 4)]
    #expect(abs(try Self.result(.agreement, two).score - 5.5 / 8) < 1e-12)
  }

  @Test func agreementKnowsWhatIsNotFinite() throws {
    let original = ["y": floats([4, 3], [1, 2, 3, .nan, 1, 1, 1, 2, 3, 1, 2, 3])]
    let own = ["y": floats([4, 3], [1, .nan, 3, 0, 0, 0, 1, 2, .infinity, 1, 2, 3])]
    let found = try Self.result(.agreement, [batch(own, original, count: 4)])
    // The second one cannot be judged, and is left out.
    #expect(units(found).map(\.isNaN) == [false, true, false, false])
    #expect(abs(found.score - 1.0 / 3) < 1e-12)
    // Other shapes or types are no answers.
    let others = ["y": floats([4, 2], [1, 2, 1, 2, 1, 2, 1, 2])]
    #expect(try Self.result(.agreement, [batch(others, original, count: 4)]).score == 0)
    // A single number names no class: its sign counts.
    let (plus, minus) = (floats([2, 1], [1, 2]), floats([2, 1], [3, -1]))
    #expect(
      units(try Self.result(.agreement, [batch(["y": minus], ["y": plus], count: 2)])) == [1, 0])
    let missing = batch(["y": plus], ["z": plus], count: 2)
    expectError(.badInput, "no output 'y'") { try Self.result(.agreement, [missing]) }
    let rows = batch(["y": floats([3], [1, 2, 3])], ["y": floats([3], [1, 2, 3])], count: 2)
    expectError(.unsupported, "one row for each", "--judged-output") {
      try Self.result(.agreement, [rows])
    }
  }

  // MARK: Errors and embeddings

  @Test func squaredErrorsAreOfTargetsOrTheOriginal() throws {
    let own = ["y": floats([2, 2], [1, 2, 3, 4])]
    let targets: [String: AnyTensor] = ["targets": .float64(Tensor([2, 2], [1, 0, 3, 7]))]
    let original = ["y": floats([2, 2], [1, 2, .nan, 6])]
    let byTargets = try Self.result(.mse, [batch(own, original, targets: targets, count: 2)])
    #expect(units(byTargets) == [2, 4.5] && byTargets.score == 3.25)
    let byOriginal = try Self.result(.mse, [batch(own, original, count: 2)])
    #expect(units(byOriginal) == [0, 4] && byOriginal.score == 2)
    let broken = ["y": floats([2, 2], [1, .nan, 3, 4])]
    #expect(try Self.result(.mse, [batch(broken, targets: targets, count: 2)]).score == .infinity)
    // N targets for N×1 outputs.
    let column = ["y": floats([2, 1], [1, 2])]
    let list = ["y": floats([2], [0, 0])]
    #expect(try Self.result(.mse, [batch(column, targets: list, count: 2)]).score == 2.5)
    expectError(.badInput, "the targets are") {
      try Self.result(.mse, [batch(own, targets: list, count: 2)])
    }
    expectError(.badInput, "no targets") {
      try Self.result(
        .mse, [batch(["a": own["y"]!, "b": own["y"]!], targets: targets, count: 2)])
    }
  }

  private let embeddings: (original: [Float], own: [Float]) = (
    [1, 0, 1, 1, 0, 1, -1, 1, 2, 1], [1, 0.2, 1, 1.5, 0.3, 1, -1, 0.1, 1, 1]
  )

  @Test func cosinesAreThoseOfNumPy() throws {
    let pair = batch(
      ["e": floats([5, 2], embeddings.own)], ["e": floats([5, 2], embeddings.original)], count: 5)
    let found = units(try Self.result(.cosine, [pair]))
    let wanted = [0.98058068, 0.98058068, 0.95782629, 0.7739573, 0.9486833]
    for (score, wanted) in zip(found, wanted) { #expect(abs(score - wanted) < 1e-6) }
    let zeros = batch(
      ["e": floats([3, 2], [0, 0, 0, 0, 1, .nan])],
      ["e": floats([3, 2], [0, 0, 1, 0, 1, 1])], count: 3)
    #expect(units(try Self.result(.cosine, [zeros])) == [1, 0, 0])
    let integers: [String: AnyTensor] = ["e": .int64(Tensor([1, 2], [1, 2]))]
    expectError(.unsupported, "floating-point") {
      try Self.result(.cosine, [batch(integers, integers, count: 1)])
    }
  }

  @Test func retrievalIsTheRankCorrelation() throws {
    func parts(_ size: Int) -> [MetricBatch] {
      stride(from: 0, to: 5, by: size).map { start in
        let count = min(size, 5 - start)
        func part(_ elements: [Float]) -> [String: AnyTensor] {
          ["e": floats([count, 2], Array(elements[2 * start..<2 * (start + count)]))]
        }
        return batch(
          part(embeddings.own), part(embeddings.original), from: start, count: count)
      }
    }
    for size in [1, 2, 5] {
      let found = try Self.result(.retrieval, parts(size))
      let wanted = [1, 0.9486833, 0.10540926, 1, 0.8]
      for (score, wanted) in zip(units(found), wanted) { #expect(abs(score - wanted) < 1e-6) }
      #expect(abs(found.score - 0.77081851) < 1e-6)
    }
    expectError(.badInput, "at least 3 samples") {
      try Self.result(.retrieval, Array(parts(1)[..<2]))
    }
    // A sample whose embedding is not finite finds nothing, and is found last.
    var broken = embeddings.own
    broken[0] = .nan
    let original = ["e": floats([5, 2], embeddings.original)]
    let found = try Self.result(
      .retrieval, [batch(["e": floats([5, 2], broken)], original, count: 5)])
    #expect(units(found)[0] == -1 && found.score < 0.77)
    // Of many samples, some are used.
    let many = (0..<2500).map { Float($0 % 97) - 40 }
    let all = ["e": floats([1250, 2], many)]
    let whole = try Self.result(.retrieval, [batch(all, all, count: 1250)])
    #expect(units(whole).count == 1000 && abs(whole.score - 1) < 1e-9)
  }

  @Test func ranksOfEqualNumbersAreShared() {
    #expect(RankCorrelation.ranks([0.2, 0.4, 0.6, 0.6, 0.1]) == [2, 3, 4.5, 4.5, 1])
    let found = RankCorrelation.spearman([0.1, 0.5, 0.5, 0.9, 0.3], [0.2, 0.4, 0.6, 0.6, 0.1])
    #expect(abs(found - 0.8157894736842107) < 1e-12)
    #expect(RankCorrelation.spearman([1, 1], [2, 2]) == 1)
    #expect(RankCorrelation.spearman([1, 1], [2, 3]) == 0)
  }

  // MARK: Mean intersection over union

  /// Scores for 2×2 pixels and 3 classes that choose the given classes.
  private func scores(_ choices: [[Int]]) -> AnyTensor {
    var elements: [Float] = []
    for image in choices {
      for label in 0..<3 { elements += image.map { $0 == label ? 1 : 0 } }
    }
    return floats([choices.count, 3, 2, 2], elements)
  }

  @Test func overlapsAreSummedOverSamples() throws {
    let own = ["y": scores([[0, 1, 1, 2], [0, 0, 0, 0]])]
    let masks: [String: AnyTensor] = [
      "y": .uint8(Tensor([2, 2, 2], [0, 1, 2, 255, 0, 0, 255, 1]))
    ]
    // Class 0: 3 of 4; class 1: 1 of 3; class 2: 0 of 1. The last pixel of the first image, and the
    // third of the second, do not count.
    let found = try Self.result(.miou, [batch(own, targets: masks, count: 2)])
    #expect(abs(found.score - (3.0 / 4 + 1.0 / 3 + 0) / 3) < 1e-12)
    // A class that occurs nowhere has no overlap.
    let zeros: [String: AnyTensor] = ["y": .int32(Tensor([2, 2, 2], repeating: 0))]
    let none = ["y": scores([[0, 0, 0, 0], [0, 0, 0, 0]])]
    #expect(try Self.result(.miou, [batch(none, targets: zeros, count: 2)]).score == 1)
    // Against the original's choices.
    let original = ["y": scores([[0, 1, 1, 2], [0, 0, 0, 1]])]
    let other = try Self.result(.miou, [batch(own, original, count: 2)])
    #expect(abs(other.score - (4.0 / 5 + 2.0 / 3 + 1) / 3) < 1e-12)
    // Pixels without a number have no class.
    var broken = try #require(own["y"]?.typed(as: Float.self))
    for label in 0..<3 { broken[0, label, 0, 0] = .nan }
    let lost = try Self.result(.miou, [batch(["y": .float32(broken)], targets: masks, count: 2)])
    #expect(abs(lost.score - (2.0 / 4 + 1.0 / 3 + 0) / 3) < 1e-12)
  }

  @Test func overlapsNeedFittingMasks() throws {
    let own = ["y": scores([[0, 1, 1, 2]])]
    func score(_ mask: AnyTensor) throws -> Double {
      try Self.result(.miou, [batch(own, targets: ["targets": mask], count: 1)]).score
    }
    #expect(try score(.int64(Tensor([1, 1, 2, 2], [0, 1, 1, 2]))) == 1)
    expectError(.badInput, "class 3, but the model only 3", "255") {
      try score(.int64(Tensor([1, 2, 2], [0, 1, 1, 3])))
    }
    expectError(.badInput, "class -1") { try score(.int64(Tensor([1, 2, 2], [0, 1, 1, -1]))) }
    expectError(.badInput, "not integers 1×2×2") {
      try score(.uint8(Tensor([1, 4], [0, 1, 1, 2])))
    }
    expectError(.badInput, "float32") { try score(floats([1, 2, 2], [0, 1, 1, 2])) }
    // A single score for each pixel names no class.
    let single = ["y": floats([1, 1, 2, 2], [0, 1, 1, 2])]
    expectError(.unsupported, "K of at least 2") {
      try Self.result(.miou, [batch(single, single, count: 1)])
    }
    let two = ["y": scores([[0, 1, 1, 2]]), "z": scores([[0, 1, 1, 2]])]
    expectError(.badInput, "several outputs", "--judged-output") {
      try Self.result(.miou, [batch(two, two, count: 1)])
    }
  }

  // MARK: Closures and names

  @Test func closuresScoreSamplesOrBatches() throws {
    let outputs = ["y": floats([2], [3, 5])]
    let batches = [
      batch(outputs, count: 2), batch(["y": floats([1], [10])], from: 2, count: 1),
    ]
    let each = Metric(name: "value", higherIsBetter: false) { batch in
      let y: Tensor<Float> = try batch.outputs["y"]!.require()
      return y.elements.map(Double.init)
    }
    let found = try Self.result(each, batches)
    #expect(found.score == 6 && units(found) == [3, 5, 10])
    // One score for a batch counts as often as the batch has samples.
    let whole = Metric(name: "whole") { batch in [Double(batch.samples.lowerBound)] }
    let mean = try Self.result(whole, batches)
    #expect(abs(mean.score - 2.0 / 3) < 1e-12 && units(mean) == [0, 2])
    let none = Metric(name: "none") { _ in [] }
    expectError(.badInput, "0 scores for 2 samples", "metric 'none'") {
      try Self.result(none, batches)
    }
    let unknown = Metric(name: "unknown") { $0.samples.map { _ in .nan } }
    #expect(try Self.result(unknown, batches).score == -.infinity)
  }

  @Test func metricsHaveNames() throws {
    for metric in Metric.all { #expect(try Metric.named(metric.name).label == metric.label) }
    #expect(Metric.standard(hasLabels: true).name == "top1")
    #expect(Metric.standard(hasLabels: false).name == "agreement")
    let command = try Metric.named("command:./score.py")
    #expect(command.higherIsBetter && command.name == "command:./score.py")
    #expect(try !Metric.named("command-:./error.py").higherIsBetter)
    expectError(.badInput, "did you mean 'cosine'?") { try Metric.named("cosin") }
    expectError(.badInput, "top1, top5, agreement") { try Metric.named("accuracy of it all") }
    expectError(.badInput, "no command") { try Metric.named("command: ") }
  }
}
