// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletTraining
import Synchronization
import Testing
import _SwiftletTestSupport

/// Judging by any metric: paired tests, goals, and mixed precision without labels.
struct JudgeTests {
  // MARK: Paired tests

  /// A judge of embeddings that are their inputs times a matrix.
  private func judge(
    _ metric: Metric?, _ arrays: [String: AnyTensor], original: Graph? = nil
  ) throws -> Judge {
    try Judge(
      metric, on: ImageDataset(arrays: InputArrays(arrays)), original: original, like: scaled([1]),
      options: Judge.Options(threads: .serial))
  }

  /// y = x · factors, N×1 times 1×K.
  private func scaled(_ factors: [Float]) -> Graph {
    var graph = Graph(name: "scaled")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(factors.count)])]
    graph.initializers = ["w": .float32(Tensor([1, factors.count], factors))]
    graph.nodes = [Node("MatMul", name: "product", inputs: ["x", "w"], outputs: ["y"])]
    return graph
  }

  /// A test of two models with the given scores.
  private func pair(
    _ first: [Double], _ second: [Double], isFraction: Bool = false, higherIsBetter: Bool = true
  ) throws -> PairedTest {
    func judgement(_ scores: [Double]) throws -> Judgement {
      let metric = Metric(
        name: "given", higherIsBetter: higherIsBetter, isFraction: isFraction
      ) { batch in batch.samples.map { scores[$0] } }
      let inputs = AnyTensor.float32(Tensor([scores.count, 1], repeating: 0))
      return try judge(metric, ["x": inputs]).judge(scaled([1]))
    }
    return PairedTest(try judgement(first), try judgement(second))
  }

  private let first = [0.9, 0.8, 0.95, 0.7, 0.85, 1.0, 0.75]
  private let second = [0.88, 0.81, 0.9, 0.6, 0.84, 0.97, 0.7]

  @Test func realScoresAreTestedAsBySciPy() throws {
    // scipy.stats.ttest_rel, and its confidence intervals at 90 % and 98 %.
    let test = try pair(first, second)
    #expect(abs(test.drop - 0.03571428571428571) < 1e-12)
    #expect(abs(test.pValue - 0.037525237549461) < 1e-9)
    #expect(abs(test.upperBound - 0.06180448306395424) < 1e-9)
    #expect(abs(test.upperBound(confidence: 0.99) - 0.07790946424125528) < 1e-9)
    #expect((test.images, test.lost, test.won, test.degrees) == (7, 6, 1, 6))
    #expect(
      test.summary
        == "drop 0.03571, below 0.0618 with 95 % confidence (lost 6, won 1, p = 0.038)")
    // In points, and the other way round.
    let points = try pair(first, second, isFraction: true)
    #expect(abs(points.upperBound - 6.180448306395424) < 1e-7 && points.pValue == test.pValue)
    let rise = try pair(second, first, higherIsBetter: false)
    #expect(abs(rise.drop - test.drop) < 1e-12 && (rise.lost, rise.won) == (6, 1))
    #expect(rise.summary.hasPrefix("rise 0.03571, below 0.0618 with"))
    let gain = try pair(second, first)
    #expect(abs(gain.drop + test.drop) < 1e-12 && abs(gain.upperBound + 0.0096240884) < 1e-9)
  }

  @Test func equalAndUnknownScoresHaveBounds() throws {
    let same = try pair(first, first)
    #expect(same.drop == 0 && same.upperBound == 0 && same.pValue == 1)
    // One sample says nothing of others.
    let one = try pair([0.5], [0.4])
    #expect(abs(one.drop - 0.1) < 1e-12 && one.upperBound == .infinity)
    #expect(one.summary == "drop 0.1")
    let broken = try pair([0.5, 0.6], [0.5, .nan])
    #expect(broken.drop == .infinity && broken.upperBound == .infinity && broken.pValue == 0)
  }

  @Test func zerosAndOnesAreRightAndWrongAnswers() throws {
    let (a, b) = ([1.0, 1, 0, 1, 1, 0], [1.0, 0, 1, 0, 1, 0])
    let test = try pair(a, b, isFraction: true)
    let plain = PairedTest(a.map { $0 == 1 }, b.map { $0 == 1 })
    #expect((test.drop, test.upperBound) == (plain.drop, plain.upperBound))
    #expect((test.pValue, test.lost, test.won) == (plain.pValue, plain.lost, plain.won))
    #expect(test.metric?.name == "given" && plain.metric == nil && test.standardError == nil)
    // Errors: 1 is wrong, and a unit is no point.
    let errors = try pair(a, b, higherIsBetter: false)
    #expect((errors.lost, errors.won) == (plain.won, plain.lost))
    #expect(abs(errors.drop + plain.drop / 100) < 1e-12)
  }

  /// What the first model cannot answer says nothing of the second.
  @Test func unansweredImagesAreLeftOut() throws {
    let (a, b) = ([true, false, false, true], [false, true, true, true])
    let test = PairedTest(a, b, choices: [3, -1, -1, 0])
    #expect((test.images, test.lost, test.won, test.drop) == (2, 1, 0, 50))
    // Without an answer at all there is nothing else to count.
    #expect(PairedTest(a, b, choices: [-1, -1, -1, -1]) == PairedTest(a, b))
  }

  @Test func batchesAreWeighted() throws {
    // NumPy: a ratio estimate of 0.2 with standard error 0.1249, Student's t with 2 degrees.
    func judgement(_ scores: [Double]) throws -> Judgement {
      let metric = Metric(name: "batch") { batch in [scores[batch.samples.lowerBound / 64]] }
      let inputs = AnyTensor.float32(Tensor([160, 1], repeating: 0))
      return try judge(metric, ["x": inputs]).judge(scaled([1]))
    }
    let test = PairedTest(try judgement([0.5, 0.75, 1]), try judgement([0.5, 0.5, 0.5]))
    #expect(abs(test.drop - 0.2) < 1e-12 && test.degrees == 2 && test.images == 160)
    #expect(abs(test.upperBound - 0.5647060820932239) < 1e-9)
    #expect(abs(test.pValue - 0.2504683110041386) < 1e-9)
  }

  @Test(arguments: [
    (1, [0.5, 0.14758361765043326, 0.8128329581890011, 0.9604165758394344], 6.313751514675037),
    (3, [0.5, 0.06966298427942152, 0.8847080673775886, 0.9979617112061072], 2.353363434801823),
    (29, [0.5, 0.027471818591483586, 0.9277881519798071, 0.9999999959937121], 1.6991270265334972),
  ])
  func distributionsAreThoseOfSciPy(degrees: Int, below: [Double], quantile: Double) {
    for (t, wanted) in zip([0.0, -2, 1.5, 8], below) {
      #expect(abs(StudentsT.probability(below: t, degrees: degrees) - wanted) < 1e-12)
    }
    #expect(abs(StudentsT.quantile(0.95, degrees: degrees) - quantile) < 1e-9)
    #expect(abs(StudentsT.quantile(0.95, degrees: nil) - 1.6448536269514722) < 1e-9)
    #expect(StudentsT.probability(below: .infinity, degrees: degrees) == 1)
  }

  @Test func overlapsAreResampled() throws {
    var generator = RandomGenerator(seed: 3)
    let masks = (0..<60 * 16).map { _ in UInt8(generator.below(2)) }
    func answers(_ mistakes: Double) -> AnyTensor {
      var elements: [Float] = []
      for image in 0..<60 {
        let labels = masks[image * 16..<(image + 1) * 16].map { label in
          generator.uniform() < mistakes ? 1 - label : label
        }
        for plane in 0..<2 { elements += labels.map { Int($0) == plane ? 1 : 0 } }
      }
      return .float32(Tensor([60, 2, 4, 4], elements))
    }
    func judgement(_ outputs: AnyTensor) throws -> Judgement {
      var graph = Graph(name: "identity")
      let extents: [Dimension] = [.symbolic("N"), .fixed(2), .fixed(4), .fixed(4)]
      graph.inputs = [ValueInfo("x", .float32, extents)]
      graph.outputs = [ValueInfo("y", .float32, extents)]
      graph.nodes = [Node("Relu", name: "same", inputs: ["x"], outputs: ["y"])]
      let arrays = ["x": outputs, "targets": AnyTensor.uint8(Tensor([60, 4, 4], masks))]
      return try Judge(
        .miou, on: ImageDataset(arrays: InputArrays(arrays)), like: graph,
        options: Judge.Options(threads: .serial)
      ).judge(graph)
    }
    let (good, close, bad) = (
      try judgement(answers(0.1)), try judgement(answers(0.11)), try judgement(answers(0.4))
    )
    let far = PairedTest(good, bad)
    #expect(far.drop == 100 * (good.score - bad.score) && far.pValue < 1e-6)
    #expect(far.drop < far.upperBound && far.upperBound < far.drop + 10)
    let near = PairedTest(good, close)
    #expect(near.pValue > 0.01 && near.upperBound > 0 && near.standardError! > 0.1)
    // The same resamples each time.
    #expect(PairedTest(good, bad) == far)
    let none = PairedTest(good, good)
    #expect(none.drop == 0 && none.upperBound == 0 && none.pValue == 1)
  }

  @Test func halvesTellHowACommandsScoreVaries() throws {
    var generator = RandomGenerator(seed: 5)
    let (first, second) = (
      (0..<40).map { _ in generator.normal() }, (0..<40).map { _ in generator.normal() }
    )
    // The command's score is the mean of its samples, whose standard error is known.
    func judgement(_ scores: [Double]) -> Judgement {
      func mean(_ chosen: [Int]) -> Double {
        chosen.reduce(0) { $0 + scores[$1] } / Double(chosen.count)
      }
      let halves = (0..<30).map { half in
        var generator = RandomGenerator(seed: 0, stream: UInt64(half))
        return mean(Array(generator.permutation(of: 40).prefix(20)))
      }
      return Judgement(
        MetricLabel(name: "command:x"), MetricResult(score: mean(Array(0..<40)), .halves(halves)),
        samples: 40, samplesPerSecond: 1)
    }
    let test = PairedTest(judgement(first), judgement(second))
    let differences = zip(first, second).map { $0 - $1 }
    let mean = differences.reduce(0, +) / 40
    let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 39
    let error = (variance / 40).squareRoot()
    #expect(abs(test.drop - mean) < 1e-12 && test.degrees == 30)
    #expect(test.standardError! > 0.6 * error && test.standardError! < 1.5 * error)
  }

  // MARK: Judges

  @Test func judgesRememberTheOriginal() throws {
    let x = AnyTensor.float32(Tensor([3, 1], [1, -2, 3]))
    let judge = try judge(.cosine, ["x": x], original: scaled([1, 2]))
    #expect(try judge.judgeOriginal().score == 1)
    let judgement = try judge.judge(scaled([1, 1]))
    #expect(abs(judgement.score - 3 / 10.0.squareRoot()) < 1e-6)
    #expect(judgement.samples == 3 && judgement.scores?.count == 3)
    expectError(.badInput, "compares a model with its original", "--original") {
      try self.judge(.agreement, ["x": x])
    }
    expectError(.unsupported, "top1 needs labels", "agreement") {
      try self.judge(.top1, ["x": x])
    }
    let nothing = try self.judge(
      .cosine, ["x": .float32(Tensor([2, 1], repeating: .nan))], original: scaled([1]))
    expectError(.numerical, "has no score") { try nothing.judgeOriginal() }
    let silent = try ImageDataset(
      name: "silent", arrays: InputArrays(["x": .float32(Tensor([2, 1], repeating: .nan))]),
      labels: [0, 1], classCount: 2)
    let classifier = scaled([1, 2])
    let accuracy = try Judge(on: silent, original: classifier, like: classifier)
    expectError(.numerical, "has no score") { try accuracy.judgeOriginal() }
  }

  @Test func targetsAreArraysOfTheData() throws {
    let arrays: [String: AnyTensor] = [
      "x": .float32(Tensor([3, 1], [1, 2, 3])), "y": .float32(Tensor([3, 1], [2, 2, 6])),
      "other": .float32(Tensor([7], repeating: 0)),
    ]
    let judgement = try judge(.mse, arrays).judge(scaled([2]))
    #expect(abs(judgement.score - 4.0 / 3) < 1e-12)
    // Of chosen samples, the targets of these.
    let data = ImageDataset(arrays: InputArrays(arrays)).subset([2, 0])
    let few = try Judge(.mse, on: data, like: scaled([2])).judge(scaled([2]))
    #expect(few.scores == [0, 0])
    var short = arrays
    short["y"] = .float32(Tensor([2, 1], [1, 2]))
    expectError(.badInput, "'y' have 2 rows") { try judge(.mse, short) }
  }

  @Test func closuresSeeTheSamples() throws {
    let seen = Mutex<[MetricBatch]>([])
    let metric = Metric(name: "seen", needsOriginal: true) { batch in
      seen.withLock { $0.append(batch) }
      return [0.5]
    }
    let arrays = ["x": AnyTensor.float32(Tensor([100, 1], (0..<100).map(Float.init)))]
    let judge = try judge(metric, arrays, original: scaled([3]))
    #expect(try judge.judge(scaled([2])).score == 0.5)
    let batches = seen.withLock { $0 }
    #expect(batches.map(\.samples) == [0..<64, 64..<100])
    #expect(batches[1].outputs["y"]?.typed(as: Float.self)?.elements[0] == 128)
    #expect(batches[1].original["y"]?.typed(as: Float.self)?.elements[35] == 297)
    #expect(batches[1].names[0] == "64" && batches[1].labels.isEmpty)
  }

  // MARK: Goals

  /// Two layers that are worth factoring, and samples for them.
  private func wide() throws -> CompressionContext {
    var generator = RandomGenerator(seed: 7)
    var graph = Graph(name: "wide")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(96)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(80)])]
    graph.initializers = [
      "v": .float32(Tensor([96, 80], normalUsing: &generator)),
      "w": .float32(Tensor([80, 80], normalUsing: &generator)),
    ]
    graph.nodes = [
      Node("MatMul", name: "first", inputs: ["x", "v"], outputs: ["a"]),
      Node("Relu", name: "relu", inputs: ["a"], outputs: ["r"]),
      Node("MatMul", name: "second", inputs: ["r", "w"], outputs: ["y"]),
    ]
    return CompressionContext(
      original: graph, samples: ["x": .float32(Tensor([80, 96], normalUsing: &generator))])
  }

  private func compress(
    _ recipe: Recipe, _ goals: Goals, _ metric: Metric? = nil
  ) throws -> UnlabelledResult {
    var context = try wide()
    context.metric = metric
    return try Compressor(context, goals: goals).runUnlabelled(recipe, times: false)
  }

  private var factoring: Recipe {
    var recipe = Recipe([CompressionStep(.eigen)])
    recipe.steps[0][FactorSettings.self]?.allocation = .ratio
    return recipe
  }

  @Test func dropsNeedNoLabels() throws {
    let any = try compress(factoring, Goals(maxDrop: 100))
    let metric = try #require(any.metric)
    #expect(metric.metric == Metric.agreement.label && metric.before == 1)
    #expect(metric.samples == any.agreement?.samples)
    #expect(metric.after == any.agreement?.top1)
    // A closer one has to be milder.
    let close = try compress(factoring, Goals(maxDrop: 0.4), .cosine)
    let cosine = try #require(close.metric)
    #expect(cosine.before == 1 && cosine.after >= 0.6 && cosine.paired.drop <= 0.4)
    let ratios = try [any, close].map {
      try #require($0.recipe.steps[0][FactorSettings.self]).ratio
    }
    #expect(ratios[0] < ratios[1])
    #expect(close.candidates?.contains { $0.score != nil && !$0.chosen } == true)
    let relative = try compress(factoring, Goals(maxDrop: .relative(0.4)), .cosine)
    #expect(relative.recipe == close.recipe)
    expectError(.unsupported, "cosine drops by", "more than 1e-09") {
      try compress(factoring, Goals(maxDrop: 1e-9), .cosine)
    }
    // The original's error is 0.
    expectError(.badInput, "mse is 0", "absolute number") {
      try compress(factoring, Goals(maxDrop: .relative(0.01)), .mse)
    }
    #expect(try compress(factoring, Goals()).metric == nil)
    expectError(.badInput, "no samples to judge") {
      try Compressor(
        CompressionContext(original: ModelBuilder.residual(seed: 4)), goals: Goals(maxDrop: 1)
      ).runUnlabelled(Recipe([.quantize { $0.mode = .dynamic }]), times: false)
    }
  }

  @Test func precisionIsMixedWithoutLabels() throws {
    func mixed(_ drop: Double) throws -> UnlabelledResult {
      try compress(Recipe([.quantize { $0.mixedDrop = drop }]), Goals(), .cosine)
    }
    let result = try mixed(0.02)
    let metric = try #require(result.metric)
    #expect(metric.paired.upperBound <= 0.02 && metric.after < 1)
    #expect(result.layers.contains { $0.changed })
    // The recipe for a relative drop.
    var context = try wide()
    context.metric = .cosine
    let compressor = Compressor(
      context, goals: Goals(maxDrop: .relative(0.02), confidence: 0.9))
    let recipe = try compressor.mixing(Recipe([CompressionStep(.quantize)]))
    let settings = try #require(recipe.steps[0][QuantizationSettings.self])
    #expect(settings.mixedDrop == 0.02 && settings.mixedConfidence == 0.9)
    #expect(try compressor.mixing(factoring) == factoring)
  }

  @Test func sensitivityRanksByTheMetric() throws {
    let graph = ModelBuilder.residual(seed: 4)
    var generator = RandomGenerator(seed: 6)
    let shape = try graph.inputs[0].shape(batch: 32)
    let arrays = [graph.inputs[0].name: AnyTensor.float32(Tensor(shape, normalUsing: &generator))]
    let judge = try Judge(
      .mse, on: ImageDataset(arrays: InputArrays(arrays)), original: graph, like: graph)
    var settings = QuantizationSettings()
    settings.bits = 4
    let result = try Sensitivity.measure(
      graph, settings, CalibrationSource(arrays, for: graph), judge: judge)
    let drops = result.layers.compactMap(\.drop)
    #expect(drops.count == result.layers.count && drops == drops.sorted(by: >))
    #expect(drops[0] > 0)
    // The order is that of the errors, which decibels measure too.
    let decibels = result.layers.map(\.answers)
    #expect(decibels == decibels.sorted())
  }
}
