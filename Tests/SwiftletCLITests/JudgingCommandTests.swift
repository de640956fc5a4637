// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// What models are judged on, by which output, and what is said about it.
struct JudgingCommandTests {
  /// A small classifier, with its features before its scores if asked for.
  private func network(features: Bool) -> Graph {
    var generator = RandomGenerator(seed: 5)
    var graph = Graph(name: "small")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(12), .fixed(12)])]
    graph.outputs = [ValueInfo("logits", .float32, [.symbolic("N"), .fixed(4)])]
    if features {
      graph.outputs.insert(ValueInfo("h", .float32, [.symbolic("N"), .fixed(24)]), at: 0)
    }
    graph.initializers = [
      "v": .float32(Tensor([144, 24], uniformIn: -0.1...0.1, using: &generator)),
      "w": .float32(Tensor([24, 4], uniformIn: -0.3...0.3, using: &generator)),
    ]
    graph.nodes = [
      Node("Flatten", name: "flat", inputs: ["x"], outputs: ["f"]),
      Node("MatMul", name: "first", inputs: ["f", "v"], outputs: ["g"]),
      Node("Relu", name: "relu", inputs: ["g"], outputs: ["h"]),
      Node("MatMul", name: "second", inputs: ["h", "w"], outputs: ["logits"]),
    ]
    return graph
  }

  /// The one with two outputs, and pictures.
  private func put(_ folder: String) throws -> (model: String, data: String) {
    try putPictures(folder)
    let model = "\(folder)/two.onnx"
    try ONNXFile.write(network(features: true), to: model)
    return (model, "idx:\(folder)")
  }

  private func compress(_ model: String, _ data: String, _ options: String...) throws -> Outcome {
    let output = model.replacingOccurrences(of: ".onnx", with: ".small.onnx")
    return try swiftlet(
      ["compress", model, "--technique", "quantize", "--data", data, "-o", output] + options)
  }

  @Test func whatIsTrainedWithDoesNotJudge() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let test = try compress(model, "\(data):test[0..<50]", "--json")
      #expect(test.code == 0 && test.errors.contains("40 of the 50 images"), "\(test.errors)")
      let report = try test.json()
      #expect(report["images"] as? Int == 10 && report["trainingImages"] as? Int == 40)
      #expect((report["division"] as? String)?.contains("the other 10 for evaluation") == true)
      let whole = try compress(model, "\(data):train[0..<50]", "--json")
      #expect(try whole.json()["images"] as? Int == 80, "\(whole.errors)")
      let half = try compress(model, "\(data):test", "--split", "0.5", "--json")
      #expect(try half.json()["images"] as? Int == 40, "\(half.errors)")
      let other = try compress(
        model, "\(data):test[0..<40]", "--judge", "\(data):test[40..<60]", "--json")
      #expect(try other.json()["images"] as? Int == 20, "\(other.errors)")
      expectFailure(
        try compress(model, "\(data):test[0..<40]", "--judge", "\(data):test[30..<60]"), 2,
        "10 of the 30 evaluation images", "--split")
      expectFailure(
        try compress(model, data, "--judge", "\(data):test", "--split", "0.5"), 64, "--judge")
      func train(_ options: String...) throws -> Outcome {
        try swiftlet(
          ["train", "--model", model, "--epochs", "1", "-o", "\(folder)/t.onnx", "--json"]
            + options)
      }
      let trained = try train("--data", "\(data):test")
      #expect(trained.code == 0 && trained.errors.contains("64 of the 80 images"))
      expectFailure(
        try train("--data", "\(data):test", "--judge", "\(data):test[50%]"), 2, "40 of the 40")
    }
  }

  @Test func scoresAreFoundOrNamed() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let alone = "\(folder)/one.onnx"
      try ONNXFile.write(network(features: false), to: alone)
      func top1(_ model: String, _ options: String...) throws -> Double? {
        try swiftlet(["evaluate", model, "--data", data, "--json"] + options).json()["top1"]
          as? Double
      }
      let expected = try #require(try top1(alone))
      #expect(try top1(model) == expected)
      #expect(try top1(model, "--judged-output", "logits") == expected)
      let compressed = try compress(model, data, "--json")
      #expect(
        (try compressed.json()["before"] as? [String: Any])?["top1"] as? Double == expected)
      // Both outputs are told of, though one has no labels.
      let agreement = try #require(try compressed.json()["agreement"] as? [String: Any])
      #expect((agreement["outputs"] as? [Any])?.count == 2)
      let compared = try swiftlet(
        "compare", alone, model, "--data", data, "--batch", "1", "--seconds", "0.01", "--json")
      let models = try #require(try compared.json()["models"] as? [[String: Any]])
      #expect(models.map { $0["top1"] as? Double } == [expected, expected])
      // Another output of as many numbers.
      var graph = try ONNXFile.read(model)
      graph.nodes.append(Node("Neg", name: "worst", inputs: ["logits"], outputs: ["worst"]))
      graph.outputs.append(ValueInfo("worst", .float32, [.symbolic("N"), .fixed(4)]))
      try ONNXFile.write(graph, to: model)
      for command in [["evaluate", model], ["compare", alone, model]] {
        let outcome = try swiftlet(command + ["--data", data])
        expectFailure(outcome, 2, "'logits', 'worst'", "--judged-output")
      }
      expectFailure(try compress(model, data), 2, "'logits', 'worst'", "--judged-output")
      #expect(try compress(model, data, "--judged-output", "logits").code == 0)
      let train = ["train", "--model", model, "--data", data, "--epochs", "1", "-o", alone]
      expectFailure(try swiftlet(train), 2, "--judged-output")
      let trained = try swiftlet(train + ["--judged-output", "logits", "--json"])
      #expect(trained.code == 0, "\(trained.errors)")
      #expect(try ONNXFile.read(alone).outputs.count == 3)
      #expect(
        try top1(alone, "--judged-output", "logits") == trained.json()["top1"] as? Double)
    }
  }

  /// Outputs that nothing is learned for stay, and are told of.
  @Test func otherOutputsOutliveTraining() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let output = "\(folder)/small.onnx"
      let outcome = try swiftlet(
        "compress", model, "--technique", "svd,distill", "--ratio", "0.7", "--allocation", "ratio",
        "--epochs", "1", "--data", data, "-o", output, "--json")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let report = try outcome.json()
      #expect(
        (report["warnings"] as? [String])?.contains { $0.contains("only output 'logits'") } == true)
      #expect(((report["agreement"] as? [String: Any])?["outputs"] as? [Any])?.count == 2)
      #expect(try ONNXFile.read(output).outputs.map(\.name) == ["h", "logits"])
    }
  }

  /// A model of raw pixels: the mean where each class is bright, less what only bright pixels
  /// reach.
  private func rawModel(_ path: String) throws {
    var graph = Graph(name: "raw")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(1), .fixed(12), .fixed(12)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(4)])]
    var weights = [Float](repeating: 0, count: 4 * 144)
    for place in 0..<4 {
      for y in 0..<4 {
        for x in 0..<4 {
          weights[place * 144 + (place / 3 * 4 + y) * 12 + place % 3 * 4 + x] = 1.0 / 16
        }
      }
    }
    graph.initializers = [
      "w": .float32(Tensor([4, 144], weights)), "b": .float32(Tensor([4], [500, 0, 0, 0])),
      "floor": .float32(Tensor([4], [60, 60, 60, 60])),
      "e": .float32(Tensor([4, 4], (0..<16).map { $0 % 5 == 0 ? 10 : 0 })),
    ]
    graph.nodes = [
      Node("Flatten", name: "flat", inputs: ["x"], outputs: ["f"]),
      Node(
        "Gemm", name: "means", inputs: ["f", "w"], outputs: ["m"],
        attributes: ["transB": .int(1)]),
      Node("Sub", name: "less", inputs: ["m", "floor"], outputs: ["l"]),
      Node("Relu", name: "bright", inputs: ["l"], outputs: ["r"]),
      Node("Gemm", name: "scores", inputs: ["r", "e", "b"], outputs: ["y"]),
    ]
    try ONNXFile.write(graph, to: path)
  }

  @Test func scalingIsSaidAndChosen() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      let (model, data) = ("\(folder)/raw.onnx", "idx:\(folder)")
      try rawModel(model)
      let guessed = try swiftlet("evaluate", model, "--data", data, "--json")
      #expect(
        guessed.errors.contains("pixels scaled to -1…1; --preprocess changes it"),
        "\(guessed.errors)")
      #expect(guessed.errors.contains("the same class for all 80 images"))
      #expect(guessed.errors.contains("--preprocess"))
      let raw = try swiftlet("evaluate", model, "--data", data, "--preprocess", "raw", "--json")
      #expect(!raw.errors.contains("guess") && !raw.errors.contains("warning"), "\(raw.errors)")
      let better = try #require(try raw.json()["top1"] as? Double)
      #expect(try better > #require(try guessed.json()["top1"] as? Double) + 0.2)
      let compressed = try compress(model, data, "--json")
      #expect((try compressed.json()["warnings"] as? [String])?.count == 1)
      #expect((try compressed.json()["preprocessing"] as? String)?.contains("guessed") == true)
      #expect(try compress(model, data).output.contains("warning: the model predicts"))
      let small = "\(folder)/raw.small.onnx"
      let right = try compress(model, data, "--preprocess", "raw", "--json")
      #expect(try right.json()["warnings"] == nil, "\(right.errors)")
      // The model that was written says it itself.
      let again = try swiftlet("evaluate", small, "--data", data, "--json")
      #expect(!again.errors.contains("guess") && !again.errors.contains("warning"))
      #expect(
        try again.json()["top1"] as? Double
          == (right.json()["after"] as? [String: Any])?["top1"] as? Double)
      let verified = try swiftlet("verify", "\(folder)/raw.small.manifest.json", "--rerun")
      #expect(verified.code == 0, "\(verified.output) \(verified.errors)")
      let compared = try swiftlet(
        "compare", model, "--data", data, "--batch", "1", "--seconds", "0.01", "--json")
      #expect(compared.errors.contains("warning: raw: the model predicts"))
      expectFailure(
        try swiftlet("evaluate", model, "--data", data, "--preprocess", "untit"), 64,
        "no scaling and no file 'untit'", "did you mean 'unit'")
    }
  }

  @Test func preprocessingIsReadFromFiles() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      let (model, data) = ("\(folder)/raw.onnx", "idx:\(folder)")
      try rawModel(model)
      let file = "\(folder)/as deployed.yaml"
      try _SwiftletTestSupport.put(
        Array("{resize: none, scale: 1, mean: 0}".utf8), folder, "as deployed.yaml")
      func top1(_ run: Outcome) throws -> Double { try #require(run.json()["top1"] as? Double) }
      let raw = try swiftlet("evaluate", model, "--data", data, "--preprocess", "raw", "--json")
      let read = try swiftlet("evaluate", model, "--data", data, "--preprocess", file, "--json")
      #expect(read.code == 0 && !read.errors.contains("guess"), "\(read.errors)")
      #expect(try top1(read) == top1(raw))
      // The model that is written needs no file, nor does its verification.
      let compressed = try compress(model, data, "--preprocess", file, "--json")
      #expect(
        try compressed.json()["preprocessing"] as? String
          == "1×12×12, padded; pixels scaled to 0…255")
      try _SwiftletTestSupport.put([], folder, "as deployed.yaml")
      let again = try swiftlet("evaluate", "\(folder)/raw.small.onnx", "--data", data, "--json")
      #expect(!again.errors.contains("guess"), "\(again.errors)")
      let verified = try swiftlet("verify", "\(folder)/raw.small.manifest.json", "--rerun")
      #expect(verified.code == 0, "\(verified.output) \(verified.errors)")
      // One line names the file, the key and the remedy.
      try _SwiftletTestSupport.put(Array("mean: 0\nresise: none".utf8), folder, "as deployed.yaml")
      expectFailure(
        try swiftlet("evaluate", model, "--data", data, "--preprocess", file), 2,
        "as deployed.yaml, key 'resise'", "did you mean 'resize'?")
    }
  }

  @Test func aGuessIsKeptInTheModelThatIsWritten() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      let (model, data) = ("\(folder)/raw.onnx", "idx:\(folder)")
      try rawModel(model)
      let report = try compress(model, data, "--json").json()
      #expect((report["preprocessing"] as? String)?.hasSuffix("(guessed)") == true)
      let small = "\(folder)/raw.small.onnx"
      let again = try swiftlet("evaluate", small, "--data", data, "--json")
      #expect(again.code == 0 && !again.errors.contains("guessed"), "\(again.errors)")
      let after = try #require(report["after"] as? [String: Any])
      #expect(try again.json()["top1"] as? Double == after["top1"] as? Double)
      let bytes = try #require(
        FileManager.default.attributesOfItem(atPath: small)[.size] as? Int)
      #expect(after["fileBytes"] as? Int == bytes)
      let verified = try swiftlet("verify", "\(folder)/raw.small.manifest.json", "--rerun")
      #expect(verified.code == 0, "\(verified.output) \(verified.errors)")
    }
  }

  /// What is asked for beside quantize alone: the surer, the fewer layers may lose.
  @Test func confidenceIsKeptTo() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      // Eighty images show that less than 5 points are lost with 50 %, and not with 99.999 %.
      let unsure = try compress(model, data, "--max-drop", "5", "--confidence", "0.5", "--json")
      #expect(unsure.code == 0, "\(unsure.errors)")
      #expect(try unsure.json()["confidence"] as? Double == 0.5)
      let steps = (try unsure.json()["recipe"] as? [String: Any])?["steps"] as? [[String: Any]]
      #expect(steps?[0]["mixedConfidence"] as? Double == 0.5)
      expectFailure(
        try compress(model, data, "--max-drop", "5", "--confidence", "99.999%"), 3,
        "with 99.999 % confidence")
      expectFailure(try compress(model, data, "--confidence", "95%"), 64, "--max-drop or --mixed")
    }
  }
}
