// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// `--metric`, relative drops, and goals without labels.
struct MetricCommandTests {
  /// Two models of embeddings, the second one a little different; samples with targets.
  private func put(_ folder: String) throws -> [String] {
    var generator = RandomGenerator(seed: 4)
    var graph = Graph(name: "two")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(64)])]
    graph.outputs = [ValueInfo("e", .float32, [.symbolic("N"), .fixed(48)])]
    let (v, w) = (
      Tensor<Float>([64, 96], normalUsing: &generator),
      Tensor<Float>([96, 48], normalUsing: &generator)
    )
    graph.nodes = [
      Node("MatMul", name: "first", inputs: ["x", "v"], outputs: ["a"]),
      Node("Relu", name: "relu", inputs: ["a"], outputs: ["b"]),
      Node("MatMul", name: "second", inputs: ["b", "w"], outputs: ["e"]),
    ]
    for (name, factor) in [("m", Float(1)), ("n", 1.0625)] {
      graph.initializers = [
        "v": .float32(v), "w": .float32(w.map { $0 < 0 ? factor * $0 : $0 }),
      ]
      try ONNXFile.write(graph, to: "\(folder)/\(name).onnx")
    }
    try NPZ.write(
      [
        "x": .float32(Tensor([40, 64], normalUsing: &generator)),
        "targets": .float32(Tensor([40, 48], repeating: 0)),
      ], to: "\(folder)/s.npz")
    try NPZ.write(
      ["x": .float32(Tensor([40, 64], normalUsing: &generator))], to: "\(folder)/u.npz")
    return ["--data", "inputs:\(folder)/u.npz"]
  }

  @Test func modelsAreEvaluatedByMetrics() throws {
    try withTemporaryFolder { folder in
      let data = try put(folder)
      func score(_ options: String...) throws -> Double {
        let outcome = try swiftlet(["evaluate", "\(folder)/n.onnx", "--json"] + options)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let json = try outcome.json()
        #expect(json["metric"] as? String == options[options.firstIndex(of: "--metric")! + 1])
        #expect(json["samples"] as? Int == 40)
        return try #require(json["score"] as? Double)
      }
      let original = ["--original", "\(folder)/m.onnx"]
      for metric in ["agreement", "cosine", "retrieval"] {
        let found = try score(data[0], data[1], original[0], original[1], "--metric", metric)
        #expect(found > 0.8 && found < 1, "\(metric)")
      }
      let targets = "inputs:\(folder)/s.npz"
      #expect(try score("--data", targets, "--metric", "mse") > 100)
      #expect(try score(data[0], data[1], "--metric", "command:echo 0.25; true") == 0.25)
      let text = try swiftlet(
        ["evaluate", "\(folder)/n.onnx", "--metric", "cosine"] + data + original)
      #expect(text.output.hasPrefix("cosine "), "\(text.output)")

      let command = ["evaluate", "\(folder)/n.onnx"] + data
      expectFailure(try swiftlet(command), 2, "no labels", "--metric", "--original")
      expectFailure(try swiftlet(command + ["--metric", "cosine"]), 2, "--original")
      expectFailure(try swiftlet(command + ["--metric", "top1"]), 3, "needs labels")
      expectFailure(try swiftlet(command + ["--metric", "cosin"]), 64, "did you mean 'cosine'")
      expectFailure(try swiftlet(command + original), 64, "--original needs --metric")
      expectFailure(
        try swiftlet(command + ["--metric", "command:echo no >&2; false"]), 2, "exit code 1: no")
      expectFailure(try swiftlet(command + original + ["--metric", "miou"]), 3, "N×K×H×W")
    }
  }

  @Test func dropsAreKeptWithoutLabels() throws {
    try withTemporaryFolder { folder in
      let data = try put(folder)
      let command =
        ["compress", "\(folder)/m.onnx", "-o", "\(folder)/o.onnx", "--no-timing", "--json"] + data
      let factoring = ["--technique", "eigen", "--allocation", "ratio", "--metric", "cosine"]
      let outcome = try swiftlet(command + factoring + ["--max-drop", "40%"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let metric = try #require(try outcome.json()["metric"] as? [String: Any])
      #expect(try #require(metric["after"] as? Double) >= 0.6)
      #expect((metric["metric"] as? [String: Any])?["name"] as? String == "cosine")
      let manifest = "\(folder)/o.manifest.json"
      #expect(
        String(decoding: try InputFile.read(manifest), as: UTF8.self).contains(
          "\"metric\" : \"cosine\""))
      // Quantize alone chooses precisions.
      let mixed = try swiftlet(
        command + ["--technique", "quantize", "--metric", "cosine", "--max-drop", "2%"])
      #expect(mixed.code == 0, "\(mixed.errors)")
      let steps = (try mixed.json()["recipe"] as? [String: Any])?["steps"] as? [[String: Any]]
      #expect(steps?[0]["mixedDrop"] as? Double == 0.02)
      let verified = try swiftlet("verify", manifest)
      #expect(verified.code == 0, "\(verified.output) \(verified.errors)")
      expectFailure(
        try swiftlet(command + factoring + ["--max-drop", "0.0000001"]), 3, "cosine drops by")
      expectFailure(
        try swiftlet(command + ["--technique", "svd", "--metric", "mse", "--max-drop", "1%"]), 2,
        "mse is 0")
      expectFailure(try swiftlet(command + factoring + ["--max-drop", "x%"]), 64, "--max-drop")
      expectFailure(try swiftlet(command + ["--technique", "svd", "--max-drop", "101"]), 64, "101")
    }
  }

  @Test func layersAreRanked() throws {
    try withTemporaryFolder { folder in
      let data = try put(folder)
      let outcome = try swiftlet(
        ["sensitivity", "\(folder)/m.onnx", "--metric", "cosine", "--bits", "4"] + data)
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.output.contains("cosine drop"))
      let plain = try swiftlet(["sensitivity", "\(folder)/m.onnx", "--json"] + data)
      #expect(!plain.output.contains("\"drop\""))
    }
  }

  /// Ctrl-C ends a metric's command too.
  @Test func commandsAreInterrupted() throws {
    try withTemporaryFolder { folder in
      let data = try put(folder)
      let note = "\(folder)/note"
      let outcome = try swiftlet(
        ["evaluate", "\(folder)/n.onnx", "--metric", "command:touch '\(note)'; sleep 600; true"]
          + data,
        when: { FileManager.default.fileExists(atPath: note) })
      expectFailure(outcome, 130, "interrupted")
    }
  }
}
