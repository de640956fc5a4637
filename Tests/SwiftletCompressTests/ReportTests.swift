// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

struct ReportTests {
  private static let result: Result<(report: CompressionReport, graphs: [Graph]), any Error> =
    Result {
      let graph = SeedCNN.make(classes: 4, seed: 1)
      let context = CompressionContext(
        original: graph, training: try pictures(64), validation: try pictures(40))
      let result = try Compressor(context).run(Recipe([CompressionStep(.quantize)]))
      let report = CompressionReport(
        result, model: "folder/<dense>.onnx", output: "small.onnx", threads: 2, machine: "a & b")
      return (report, [graph, result.graph])
    }

  private static func pictures(_ count: Int) throws -> ImageDataset {
    let (images, labels) = Pictures.make(count: count, classes: 4, seed: UInt64(count))
    return try ImageDataset(
      name: "pictures", images: images, labels: labels, classCount: 4,
      classNames: ["one", "two", "<three>", "four"])
  }

  /// The report as it reads after a change to its JSON.
  private func changed(
    _ change: (inout [String: Any]) -> Void
  ) throws -> CompressionReport {
    let report = try Self.result.get().report
    var json = try #require(
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(report)) as? [String: Any])
    change(&json)
    return try JSONDecoder().decode(
      CompressionReport.self, from: JSONSerialization.data(withJSONObject: json))
  }

  private func titles(_ html: String) -> [String] {
    html.components(separatedBy: "<h2>").dropFirst().map {
      $0.components(separatedBy: "</h2>")[0]
    }
  }

  // MARK: What is measured

  @Test func speedsAreThoseOfAllCells() throws {
    let report = try Self.result.get().report
    let threads = Threads.available.count
    let speeds = try #require(report.speeds)
    #expect(
      speeds.map { [$0.threads, $0.batch] }
        == (threads > 1
          ? [[1, 1], [1, 32], [threads, 1], [threads, 32]] : [[1, 1], [1, 32]]))
    #expect(speeds.allSatisfy { $0.millisecondsBefore > 0 && $0.millisecondsAfter > 0 })
    let last = try #require(speeds.last)
    #expect(abs(report.after.imagesPerSecond - 32e3 / last.millisecondsAfter) < 1e-6)
    #expect(report.before.latencyMs == speeds[speeds.count - 2].millisecondsBefore)
  }

  @Test func confusionAddsUpToTheAccuracies() throws {
    let report = try Self.result.get().report
    let confusion = try #require(report.confusion)
    #expect(confusion.classes.map(\.name) == ["one", "two", "<three>", "four"])
    #expect(confusion.classes.map(\.images) == [10, 10, 10, 10])
    let hits = confusion.classes.reduce((0, 0)) { ($0.0 + $1.hitsBefore, $0.1 + $1.hitsAfter) }
    #expect(hits.0 == Int((report.before.top1 * 40).rounded()))
    #expect(hits.1 == Int((report.after.top1 * 40).rounded()))
  }

  @Test func confusionCountsPairsByHand() {
    let confusion = Confusion(
      labels: [0, 0, 0, 1, 1, 2], before: [0, 1, 1, 1, 0, 2], after: [0, 0, 0, 2, 2, -1],
      classCount: 3, names: nil)
    #expect(confusion.classes.map(\.name) == ["0", "1", "2"])
    #expect(confusion.classes.map(\.hitsBefore) == [1, 1, 1])
    #expect(confusion.classes.map(\.hitsAfter) == [3, 0, 0])
    #expect(
      confusion.pairs.map { [$0.label, $0.predicted, $0.before, $0.after] }
        == [[0, 1, 2, 0], [1, 2, 0, 2], [1, 0, 1, 0]])
  }

  @Test func choicesAreTheLargestNumbers() throws {
    let (graph, data) = (SeedCNN.make(classes: 4, seed: 1), try Self.pictures(40))
    let judgement = try Evaluation.judge(graph, on: data)
    #expect(judgement.choices.count == 40 && judgement.choices.allSatisfy { 0..<4 ~= $0 })
    #expect(zip(judgement.choices, data.labels).map { $0 == $1 } == judgement.hits)
  }

  /// Values of Wilson's formula as tables give them.
  @Test(arguments: [
    (8, 10, 0.4902, 0.9433), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1),
    (9068, 10_000, 0.9010, 0.9123),
  ])
  func wilsonIntervals(hits: Int, images: Int, low: Double, high: Double) {
    let interval = WilsonInterval(hits: hits, of: images)
    #expect(abs(interval.low - low) < 6e-5 && abs(interval.high - high) < 6e-5, "\(interval)")
  }

  @Test func onTheFrontIsWhatNothingBeatsInBothRespects() {
    let points = [(2.0, 0.9), (1.0, 0.8), (3.0, 0.9), (2.0, 0.95), (.nan, 1), (4, 0.99)]
    #expect(ParetoFront.indices(points.map { (cost: $0.0, gain: $0.1) }) == [1, 3, 5])
  }

  // MARK: The page

  @Test func thePageSaysWhatTheJSONSays() throws {
    let report = try changed { json in
      json["before"] = [
        "top1": 0.9068, "fileBytes": 2_036_134, "parameters": 508_618, "macs": 12_948_480,
        "imagesPerSecond": 16317.0, "latencyMs": 0.0916,
      ]
      json["after"] = [
        "top1": 0.9022, "fileBytes": 528_699, "parameters": 508_618, "macs": 6_874_112,
        "imagesPerSecond": 22459.0, "latencyMs": 0.0603,
      ]
      (json["images"], json["drop"], json["speeds"]) = (10_000, 0.46, nil)
    }
    let html = report.html.replacing("\u{202F}", with: " ")
    for fact in [
      "90.68 %", "90.22 %", "90.1–91.2", "−0.46", "2 036 134", "528 699", "3.85 ×", "12 948 480",
      "6 874 112", "1.88 ×", "0.0916", "0.0603", "1.38 ×", "16 300/s", "22 500/s", "2.04 MB",
      "529 kB", "10 000 images", "batch 32, 2 threads",
    ] { #expect(html.contains(fact), "\(fact)") }
  }

  @Test func thePageNeedsNothingElse() throws {
    let html = try Self.result.get().report.html
    #expect(html.hasPrefix("<!doctype html>") && html.hasSuffix("</html>\n"))
    for word in ["http:", "https:", "<script", "<link", "<img", "url(", "@import", "src="] {
      #expect(!html.contains(word), "\(word)")
    }
    #expect(html.contains("default-src 'none'"))
  }

  @Test func whatComesFromFilesIsEscaped() throws {
    let name = "<img src=x onerror=alert(1)>\"'&\u{202E}"
    let report = try changed { json in
      (json["model"], json["output"], json["machine"]) = (name, name, name)
      var layers = json["layers"] as! [[String: Any]]
      layers[0].merge([
        "layer": name, "remark": name, "spectrum": [0.5, 0.3, 0.2], "rank": 1, "changed": true,
        "rejected": [["choice": name, "milliseconds": 1, "damage": 0.1, "reason": name]],
      ]) { $1 }
      json["layers"] = layers
      json["candidates"] = [
        [
          "label": name, "top1": 0.5, "milliseconds": 1, "bytes": 1000, "chosen": false,
          "reason": name,
        ]
      ]
      json["histories"] = [["stage": name, "history": history(epochs: 2)]]
      json["confusion"] = [
        "classes": [
          ["name": name, "images": 2, "hitsBefore": 1, "hitsAfter": 2],
          ["name": name, "images": 2, "hitsBefore": 1, "hitsAfter": 2],
        ], "pairs": [["label": 0, "predicted": 1, "before": 1, "after": 0]],
      ]
    }
    let html = report.html
    #expect(!html.contains("<img") && !html.contains("\u{202E}"))
    #expect(html.components(separatedBy: "&lt;img src=x onerror=alert(1)&gt;").count > 10)
    #expect(ComparisonReport([report]).html.components(separatedBy: "<img").count == 1)
  }

  private func history(epochs: Int) -> [String: Any] {
    [
      "epochs": (1...epochs).map {
        [
          "epoch": $0, "trainingLoss": 1 / Double($0), "trainingTop1": 0.5, "validationLoss": 1,
          "validationTop1": 0.5, "learningRate": 1e-3, "seconds": 1, "imagesPerSecond": 100,
        ]
      }
    ]
  }

  @Test func missingPartsAreLeftOut() throws {
    let bare = try changed { json in
      for key in ["speeds", "confusion", "candidates", "histories", "machine"] { json[key] = nil }
      for side in ["before", "after"] {
        var values = json[side] as! [String: Any]
        (values["top1Low"], values["top1High"]) = (nil, nil)
        json[side] = values
      }
      json["layers"] = (json["layers"] as! [[String: Any]]).map { layer in
        layer.filter { $0.key != "rejected" }
      }
    }
    #expect(titles(bare.html) == ["Before and after", "Trade-off", "Layers", "Recipe"])
    #expect(bare.layers.allSatisfy(\.rejected.isEmpty) && !bare.html.contains("rejected</summary>"))
    let empty = try changed { ($0["layers"], $0["histories"], $0["confusion"]) = ([], [], nil) }
    #expect(titles(empty.html) == ["Before and after", "Trade-off", "Recipe"])
    let full = try changed { json in
      json["histories"] = [["stage": "distill", "history": history(epochs: 3)]]
      var layers = json["layers"] as! [[String: Any]]
      layers[0].merge([
        "spectrum": [0.6, 0.3, 0.1], "rank": 2, "fullRank": 3, "energy": 0.9, "changed": true,
        "damage": 0.0123, "plainDamage": 0.0345, "millisecondsBefore": 0.501,
        "millisecondsAfter": 0.302,
        "rejected": [
          ["choice": "cp 7", "milliseconds": 0.7, "damage": 0.2, "reason": "not faster"]
        ],
      ]) { $1 }
      json["layers"] = layers
    }
    let html = full.html.replacing("\u{202F}", with: " ")
    #expect(titles(html).contains("Spectra") && titles(html).contains("Training"))
    for fact in [
      "rank 2, 90.0 % kept", "1.23 %", "3.45 %", "0.501 ms", "0.302 ms", "cp 7", "not faster",
    ] { #expect(html.contains(fact), "\(fact)") }
  }

  @Test func candidatesAreInThePictureWhereTheyWereJudged() throws {
    let report = try changed { json in
      json["candidates"] = [
        ["label": "ratio 0.1", "top1": 0.4, "milliseconds": 1.5, "bytes": 1000, "chosen": false],
        ["label": "ratio 0.9", "bytes": 9000, "chosen": false, "reason": "too large"],
        ["label": "ratio 0.5", "top1": 0.5, "milliseconds": 2, "bytes": 5000, "chosen": true],
      ]
    }
    let html = report.html
    #expect(html.contains("<title>ratio 0.1: ") && !html.contains("<title>ratio 0.9: "))
    #expect(html.contains("too large"))
    #expect(html.components(separatedBy: "<title>ratio 0.5: ").count == 3)
  }

  /// Files may state any number; none of them may end the process.
  @Test func absurdNumbersMakeAPage() throws {
    let absurd: [String: Any] = [
      "top1": 1e300, "fileBytes": Int.min, "parameters": 0, "macs": Int.max, "imagesPerSecond": 0,
      "latencyMs": -1e308,
    ]
    let report = try changed { json in
      (json["before"], json["after"], json["images"]) = (absurd, absurd, Int.max)
      json["drop"] = -1e300
      json["speeds"] = [
        ["threads": Int.max, "batch": Int.min, "millisecondsBefore": 0, "millisecondsAfter": -1]
      ]
      json["confusion"] = [
        "classes": [
          ["name": "", "images": Int.max, "hitsBefore": Int.min, "hitsAfter": Int.max]
        ],
        "pairs": [
          ["label": 0, "predicted": 0, "before": Int.min, "after": Int.max],
          ["label": 7, "predicted": -1, "before": 1, "after": 2],
        ],
      ]
      var layers = json["layers"] as! [[String: Any]]
      layers[0].merge([
        "spectrum": [1e308, 1e-300, -1, 0], "rank": Int.max, "damage": 1e308,
        "millisecondsBefore": -1e300,
      ]) { $1 }
      json["layers"] = layers
    }
    #expect(report.html.hasSuffix("</html>\n") && !report.html.contains("nan"))
    #expect(ComparisonReport([report, report]).html.hasSuffix("</html>\n"))
  }

  // MARK: Comparisons

  @Test func modelsAreComparedOnTheSameImagesInOneRun() throws {
    let graphs = try Self.result.get().graphs
    let data = try Self.pictures(40)
    let models = [
      ("a/dense.onnx", graphs[0]), ("a/int8.onnx", graphs[1]), ("b/int8.onnx", graphs[1]),
    ]
    let comparison = try ComparisonReport.measure(
      models.map { (path: $0.0, graph: $0.1) }, on: data, batches: [1, 3], seconds: 0.01)
    #expect(comparison.images == 40 && comparison.isOneRun)
    #expect(comparison.models.map(\.name) == ["a/dense.onnx", "a/int8.onnx", "b/int8.onnx"])
    let (first, second) = (comparison.models[0], comparison.models[1])
    #expect(first.paired == nil && first.agreement == nil)
    let (before, after) = try (
      Evaluation.judge(graphs[0], on: data), Evaluation.judge(graphs[1], on: data)
    )
    #expect(first.top1 == before.evaluation.top1 && second.top1 == after.evaluation.top1)
    #expect(second.paired == PairedTest(before.hits, after.hits))
    let equal = zip(before.choices, after.choices).count { $0 == $1 }
    #expect(second.agreement == Double(equal) / 40)
    #expect(second.fileBytes < first.fileBytes)
    #expect(Set(second.speeds.map(\.batch)) == [1, 3])
    let html = comparison.html.replacing("\u{202F}", with: " ")
    #expect(titles(html) == ["Accuracy and size", "Trade-off", "Median time per run, ms"])
    #expect(html.contains(ReportNumber.bytes(second.fileBytes).replacing("\u{202F}", with: " ")))
    let decoded = try JSONDecoder().decode(
      ComparisonReport.self, from: JSONEncoder().encode(comparison))
    #expect(decoded.html == comparison.html)
  }

  @Test func reportsAreComparedWithTheDenseModel() throws {
    let report = try Self.result.get().report
    let comparison = ComparisonReport([report, report])
    #expect(comparison.models.map(\.name) == ["dense", "quantize", "quantize"])
    #expect(
      comparison.models[1].speeds.last?.milliseconds == report.speeds?.last?.millisecondsAfter)
    #expect(comparison.html.contains("timed in alternation with its dense original"))
  }

  // MARK: Numbers

  @Test(arguments: [
    (0.0, "0"), (1, "1.00"), (0.092345, "0.0923"), (1.3849, "1.38"), (12.94, "12.9"),
    (99.96, "100"),
    (999.6, "1 000"), (16317, "16 300"), (-0.5, "−0.500"), (1e-9, "1.00e-9"), (.nan, "–"),
    (-1e300, "-1.00e300"),
  ])
  func threeDigitsAreGiven(value: Double, text: String) {
    let shown = ReportNumber.significant(value).replacing("\u{202F}", with: " ")
    #expect(shown.replacing("\u{2212}", with: "-") == text.replacing("\u{2212}", with: "-"))
  }

  @Test func countsAndUnitsAreReadable() {
    func plain(_ text: String) -> String { text.replacing("\u{202F}", with: " ") }
    #expect(plain(ReportNumber.count(12_948_480)) == "12 948 480")
    #expect(plain(ReportNumber.count(999)) == "999" && plain(ReportNumber.count(-1000)) == "−1 000")
    #expect(plain(ReportNumber.count(.min)).hasPrefix("−9 223"))
    #expect(
      plain(ReportNumber.bytes(2_036_134)) == "2.04 MB" && plain(ReportNumber.bytes(7)) == "7 B")
    #expect(plain(ReportNumber.bytes(999_700)) == "1.00 MB")
    #expect(plain(ReportNumber.times(1.384, "faster", "slower")) == "1.38 × faster")
    #expect(plain(ReportNumber.times(0.5, "faster", "slower")) == "2.00 × slower")
    #expect(ReportNumber.times(1.001, "faster", "slower") == "the same")
    #expect(ReportNumber.points(-0.05) == "−0.05" && ReportNumber.points(0.4) == "+0.40")
  }
}
