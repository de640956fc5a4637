// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Reports of compressions without labels, and comparisons of models without them.
struct UnlabelledReportTests {
  /// Scores and whole numbers; `scale` multiplies the scores.
  private static func network(_ batch: SwiftletGraph.Dimension = .symbolic("N"), scale: Float = 1)
    -> Graph
  {
    var model = ModelBuilder(seed: 8, input: [96])
    model.weights("v", [96, 80])
    model.weights("w", [80, 10])
    model.graph.initializers["s"] = .float32(Tensor(.scalar, [scale]))
    model.node("MatMul", ["x", "v"], "a")
    model.node("Relu", ["a"], "b")
    model.node("MatMul", ["b", "w"], "c")
    model.node("Mul", ["c", "s"], "scores")
    model.node("ArgMax", ["c"], "label<b>", ["axis": .int(1)])
    model.graph.inputs[0].dimensions[0] = batch
    model.graph.outputs = [
      ValueInfo("scores", .float32, [batch, .fixed(10)]),
      ValueInfo("label<b>", .int64, [batch, .fixed(1)]),
    ]
    return model.graph
  }

  private static func samples(_ count: Int) -> ImageDataset {
    var generator = RandomGenerator(seed: 6)
    return ImageDataset(
      name: "<samples>",
      arrays: InputArrays(["x": .float32(Tensor([count, 96], normalUsing: &generator))]))
  }

  private static let result: Result<UnlabelledResult, any Error> = Result {
    let context = CompressionContext(original: network(), samples: samples(24))
    return try Compressor(context).runUnlabelled(preset: try Preset.fast.recipe(nil))
  }

  private static func report() throws -> UnlabelledReport {
    UnlabelledReport(
      try result.get(), model: "folder/<dense>.onnx", output: "small.onnx", threads: 2,
      machine: "a & b")
  }

  /// The report as it reads after a change to its JSON.
  private func changed(_ change: (inout [String: Any]) -> Void) throws -> UnlabelledReport {
    let data = try JSONEncoder().encode(Self.report())
    var json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    change(&json)
    return try JSONDecoder().decode(
      UnlabelledReport.self, from: JSONSerialization.data(withJSONObject: json))
  }

  private func titles(_ html: String) -> [String] {
    html.components(separatedBy: "<h2>").dropFirst().map {
      $0.components(separatedBy: "</h2>")[0]
    }
  }

  private func agreement(
    decibels: Any, equal: Any = NSNull(), broken: Int = 0, undefined: Int = 0
  ) -> [String: Any] {
    [
      "decibels": decibels, "equal": equal, "samples": 6, "brokenBy": NSNull(),
      "top1": 0.875, "cosine": 0.9876,
      "outputs": [
        [
          "name": "<img src=x>", "decibels": decibels, "finiteDecibels": 25.2, "equal": equal,
          "top1": 0.875, "cosine": 0.9876, "elements": 1000, "undefined": undefined,
          "broken": broken, "reshaped": 0,
        ]
      ],
    ]
  }

  // MARK: What is measured

  @Test func speedsAreThoseOfAllCells() throws {
    let result = try Self.result.get()
    let threads = Threads.available.count
    // The largest power of two of the 24 samples.
    #expect(
      result.speeds.map { [$0.threads, $0.batch] }
        == (threads > 1
          ? [[1, 1], [1, 16], [threads, 1], [threads, 16]] : [[1, 1], [1, 16]]))
    let last = try #require(result.speeds.last)
    #expect(result.after.samplesPerSecond == Double(16) / last.millisecondsAfter * 1e3)
    let single = result.speeds[result.speeds.count - 2]
    #expect(result.before.latencyMs == single.millisecondsBefore)
  }

  @Test func theTimesOfTheChoiceAreThoseOfTheResult() throws {
    let result = try Self.result.get()
    guard let chosen = result.candidates?.first(where: \.chosen) else { return }
    let last = try #require(result.speeds.last)
    #expect(chosen.speedup == last.millisecondsBefore / last.millisecondsAfter)
    #expect(chosen.bytes == result.after.fileBytes && chosen.reason == nil)
  }

  @Test func fixedBatchesAreTimedAsTheyAre() throws {
    let context = CompressionContext(
      original: Self.network(.fixed(4)), samples: Self.samples(13), threads: .serial)
    let result = try Compressor(context).runUnlabelled(Recipe([CompressionStep(.quantize)]))
    #expect(result.speeds.map { [$0.threads, $0.batch] } == [[1, 4]])
    let last = try #require(result.speeds.last)
    #expect(result.before.latencyMs == last.millisecondsBefore)
    #expect(result.before.samplesPerSecond == Double(4) / last.millisecondsBefore * 1e3)
    #expect(result.leftOut == 1)
  }

  @Test func batchesAreAsLargeAsThereIsTimeFor() {
    #expect(SpeedCells.batch(upTo: 32, of: 1e-4) == 32)
    #expect(SpeedCells.batch(upTo: 12, of: 1e-4) == 8)
    // 2·0.1 s is within 0.3 s, 4·0.1 s is not.
    #expect(SpeedCells.batch(upTo: 32, of: 0.1) == 2)
    #expect(SpeedCells.batch(upTo: 32, of: 10) == 1 && SpeedCells.batch(upTo: 1, of: 0) == 1)
  }

  /// All strengths that a search tried are in the result, with what is known of them.
  @Test func searchesKeepWhatTheyTried() throws {
    let graph = Self.network()
    let context = CompressionContext(original: graph, samples: Self.samples(16))
    var recipe = Recipe([CompressionStep(.svd)])
    recipe.steps[0][FactorSettings.self]?.allocation = .ratio
    let result = try Compressor(context, goals: Goals(macs: .fraction(0.6))).runUnlabelled(
      recipe, times: false)
    let candidates = try #require(result.candidates)
    // Bisection over 11 strengths.
    #expect(3...4 ~= candidates.count && candidates.count(where: \.chosen) == 1)
    let chosen = try #require(candidates.first { $0.chosen })
    #expect(
      chosen.decibels == result.agreement?.decibels && chosen.label?.hasPrefix("ratio") == true)
    for candidate in candidates where !candidate.chosen {
      let isTooLarge = candidate.reason?.contains("more than") == true
      // Answers of what misses a target are not compared.
      #expect((candidate.decibels == nil) == isTooLarge && candidate.speedup == nil)
      #expect(candidate.bytes ?? 0 > 0)
    }
    #expect(candidates.contains { $0.reason?.contains("MACs, more than") == true })
  }

  @Test func thereIsOneModelWithoutSearch() throws {
    let context = CompressionContext(original: Self.network(), samples: Self.samples(8))
    let result = try Compressor(context).runUnlabelled(
      Recipe([CompressionStep(.quantize)]), times: false)
    #expect(result.candidates == nil && result.speeds.isEmpty)
    #expect(result.before.samplesPerSecond == nil && result.before.latencyMs == nil)
  }

  // MARK: The page

  @Test func thePageHasWhatWasMeasured() throws {
    let report = try Self.report()
    let html = report.html.replacing("\u{202F}", with: " ")
    #expect(
      titles(html) == [
        "Before and after", "Answers", "Trade-off", "Layers", "Measurement", "Recipe",
      ])
    #expect(html.contains("<p class=\"verdict"))
    for fact in [
      "label&lt;b&gt;", "scores", "held back, after calibration with", "batch 16, 1 thread",
      "a &amp; b", "&lt;dense&gt;.onnx, compressed", "per sample", "original",
    ] { #expect(html.contains(fact), "\(fact)") }
    #expect(html.hasPrefix("<!doctype html>") && html.hasSuffix("</html>\n"))
    for word in ["http:", "https:", "<script", "<link", "<img", "url(", "src=", "<b>\"", "nan"] {
      #expect(!html.contains(word), "\(word)")
    }
    let decoded = try JSONDecoder().decode(
      UnlabelledReport.self, from: JSONEncoder().encode(report))
    #expect(decoded.html == report.html)
  }

  @Test func thePageSaysWhatTheJSONSays() throws {
    let report = try changed { json in
      json["agreement"] = agreement(decibels: 31.2)
      (json["samples"], json["isHeldBack"], json["leftOut"]) = (18, true, 2)
      json["before"] = ["fileBytes": 2_036_134, "parameters": 508_618]
      json["after"] = ["fileBytes": 528_699, "parameters": 508_618]
      json["speeds"] = [
        ["threads": 2, "batch": 8, "millisecondsBefore": 0.0916, "millisecondsAfter": 0.0603]
      ]
      json["candidates"] = [
        [
          "label": "ratio 0.1", "techniques": ["svd"], "decibels": 7.125, "speedup": 2,
          "bytes": 1000, "chosen": false, "reason": "too little",
        ],
        [
          "label": "ratio 0.9", "techniques": ["svd"], "bytes": 9000, "chosen": false,
          "reason": "too large",
        ],
        ["techniques": ["svd"], "decibels": 31.2, "speedup": 1.5, "chosen": true],
      ]
      json["warnings"] = ["the <samples> are odd"]
    }
    let html = report.html.replacing("\u{202F}", with: " ")
    for fact in [
      "31.2 dB", "same first choice in 87.50 %", "0.9876", "2 036 134", "528 699", "3.85 ×",
      "0.0916", "0.0603", "1.52 × faster", "87 300/s", "batch 8, 2 threads", "too little",
      "too large", "7.1 dB", "<title>ratio 0.1: 7.1 dB, 0.0458 ms", "Warning: the &lt;samples&gt;",
      "(2 of 26 left out",
    ] { #expect(html.contains(fact), "\(fact)") }
    #expect(!html.contains("<title>ratio 0.9: ") && !html.contains("MACs per"))
  }

  @Test func answersThatAreNotFiniteAreSaid() throws {
    let broken = try changed {
      $0["agreement"] = agreement(decibels: NSNull(), broken: 12, undefined: 200)
    }
    let html = broken.html.replacing("\u{202F}", with: " ")
    for fact in [
      "not finite", "12 of 800 elements not finite, the others 25.2 dB",
      "without 200 of 1 000 elements",
    ] { #expect(html.contains(fact), "\(fact)") }
  }

  /// Equal elements are the measure of whole numbers: then the original has a place in the charts.
  @Test func wholeNumbersAreEqualOrNot() throws {
    let report = try changed { json in
      json["agreement"] = agreement(decibels: 10, equal: 0.9)
      json["candidates"] = [
        [
          "label": "other", "techniques": ["svd"], "decibels": 10, "speedup": 2, "bytes": 1000,
          "chosen": true,
        ]
      ]
    }
    let html = report.html.replacing("\u{202F}", with: " ")
    #expect(html.contains("90.00 % equal") && html.contains("Equal answers over time"))
    #expect(html.contains("<title>original: 100.00 %, ") && html.contains("<title>other: 90.00 %"))
  }

  /// Reports of older versions, and of compressions without samples.
  @Test func missingPartsAreLeftOut() throws {
    let bare = try changed { json in
      for key in ["speeds", "warnings", "candidates", "agreement", "machine"] { json[key] = nil }
      json["layers"] = []
    }
    #expect(titles(bare.html) == ["Before and after", "Measurement", "Recipe"])
    #expect(bare.html.contains("no samples"))
    let old = try changed { json in
      (json["speeds"], json["warnings"]) = (nil, nil)
      json["candidates"] = [["techniques": ["quantize"], "speedup": 2, "chosen": false]]
      var agreement = json["agreement"] as! [String: Any]
      agreement["cosine"] = nil
      json["agreement"] = agreement
    }
    #expect(titles(old.html).contains("Trade-off"))
  }

  /// Files may state any number; none of them may end the process.
  @Test func absurdNumbersMakeAPage() throws {
    let absurd: [String: Any] = [
      "fileBytes": Int.min, "parameters": 0, "macs": Int.max, "samplesPerSecond": 0,
      "latencyMs": -1e308,
    ]
    let report = try changed { json in
      (json["before"], json["after"]) = (absurd, absurd)
      json["agreement"] = agreement(
        decibels: -1e308, equal: 1e308, broken: .max, undefined: .min)
      json["speeds"] = [
        ["threads": Int.max, "batch": Int.min, "millisecondsBefore": 0, "millisecondsAfter": -1]
      ]
      json["candidates"] = [
        [
          "techniques": [String](), "decibels": 1e308, "speedup": 0, "bytes": Int.min,
          "chosen": true,
        ]
      ]
      (json["samples"], json["leftOut"], json["repeated"]) = (Int.max, Int.max, Int.min)
    }
    #expect(report.html.hasSuffix("</html>\n") && !report.html.contains("nan"))
    #expect(UnlabelledComparison([report, report]).html.hasSuffix("</html>\n"))
  }

  // MARK: Comparisons

  @Test func modelsAreComparedWithTheFirst() throws {
    let models = [
      ("a/one.onnx", Self.network()), ("a/two.onnx", Self.network(scale: 1.5)),
      ("b/four.onnx", Self.network(.fixed(4))),
    ]
    let comparison = try UnlabelledComparison.measure(
      models.map { (path: $0.0, graph: $0.1) }, on: Self.samples(10), threads: .serial,
      batches: [1, 32], seconds: 0.01)
    #expect(comparison.models.map(\.name) == ["one", "two", "four"])
    let (first, second, third) = (
      comparison.models[0], comparison.models[1], comparison.models[2]
    )
    #expect(first.agreement == nil)
    // Scores that are half as large again: 20·log10(2) dB, and the same directions.
    let scores = try #require(second.agreement?.outputs.first)
    #expect(scores.name == "scores" && abs(scores.decibels - 6.0206) < 1e-3)
    #expect(scores.top1 == 1 && abs((scores.cosine ?? 0) - 1) < 1e-9)
    #expect(second.agreement?.outputs.last?.equal == 1 && second.agreement?.samples == 10)
    // The two samples that do not fill a batch are left out.
    #expect(third.agreement?.samples == 8 && third.agreement?.decibels ?? 0 > 100)
    #expect(comparison.samples == 8)
    // The batch that one of them fixes.
    #expect(comparison.models.allSatisfy { $0.speeds.map(\.batch) == [4] })
    #expect(first.macs == 96 * 80 + 80 * 10)
    let html = comparison.html.replacing("\u{202F}", with: " ")
    #expect(
      titles(html) == ["Answers and size", "Outputs", "Trade-off", "Median time per run, ms"])
    #expect(html.contains("6.0 dB") && html.contains("&lt;samples&gt;"))
    let decoded = try JSONDecoder().decode(
      UnlabelledComparison.self, from: JSONEncoder().encode(comparison))
    #expect(decoded.html == comparison.html)
  }

  @Test func batchesAreAsManyAsThereAreSamples() throws {
    let comparison = try UnlabelledComparison.measure(
      [(path: "a", graph: Self.network())], on: Self.samples(10), threads: .serial,
      batches: [1, 32, 64], seconds: 0.01)
    #expect(comparison.models[0].speeds.map(\.batch) == [1, 10])
    #expect(comparison.models[0].isOnFront)
    #expect(titles(comparison.html) == ["Answers and size", "Median time per run, ms"])
  }

  @Test func modelsThatCannotBeComparedAreRefused() throws {
    func refusal(_ graphs: [Graph], outputs: [String] = []) -> String {
      let error = #expect(throws: SwiftletError.self) {
        try UnlabelledComparison.measure(
          graphs.map { (path: "m", graph: $0) }, on: Self.samples(8), outputs: outputs,
          threads: .serial, seconds: 0.01)
      }
      return error?.description ?? ""
    }
    #expect(
      refusal([Self.network(.fixed(2)), Self.network(.fixed(4))]).contains("2 samples at once"))
    var other = Self.network()
    other.outputs.removeLast()
    #expect(refusal([Self.network(), other]).contains("different outputs"))
    #expect(refusal([Self.network(), other], outputs: ["heat"]).contains("no output 'heat'"))
    let same = try UnlabelledComparison.measure(
      [Self.network(), other].map { (path: "m", graph: $0) }, on: Self.samples(8),
      outputs: ["scores"], threads: .serial, seconds: 0.01)
    #expect(same.models[1].agreement?.decibels == 200)
    #expect(same.models.map(\.name) == ["m", "m"])
  }

  @Test func reportsAreComparedWithTheOriginal() throws {
    let report = try Self.report()
    let comparison = UnlabelledComparison([report, report])
    #expect(comparison.models.count == 3 && comparison.models[0].name == "dense")
    #expect(!comparison.isOneRun && comparison.models[2].agreement == report.agreement)
    #expect(comparison.html.contains("timed in alternation with its dense original"))
  }

  @Test func reportsWithAndWithoutLabelsAreOnOnePage() throws {
    let (images, labels) = Pictures.make(count: 24, classes: 4, seed: 2)
    let data = try ImageDataset(name: "p", images: images, labels: labels, classCount: 4)
    let graph = SeedCNN.make(classes: 4, seed: 1)
    let labelled = try ComparisonReport.measure(
      [(path: "m", graph: graph)], on: data, threads: .serial, batches: [1], seconds: 0.01)
    let html = UnlabelledComparison([try Self.report()]).html(after: labelled)
    let found = titles(html)
    #expect(found.first == "Accuracy and size")
    #expect(found.contains("Answers and size, without labels"))
    #expect(Set(found).count == found.count)
  }
}
