// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Compression without labels: targets, stages, manifests, and reports that can be compared.
struct UnlabelledCommandTests {
  /// Two layers, an output of each, and samples for them.
  private func put(_ folder: String, samples: Int = 12) throws -> [String] {
    var generator = RandomGenerator(seed: 4)
    var graph = Graph(name: "two")
    graph.inputs = [ValueInfo("x", .float32, [.symbolic("N"), .fixed(96)])]
    graph.outputs = ["a", "y"].map { ValueInfo($0, .float32, [.symbolic("N"), .fixed(96)]) }
    graph.initializers = [
      "v": .float32(Tensor([96, 96], normalUsing: &generator)),
      "w": .float32(Tensor([96, 96], normalUsing: &generator)),
    ]
    graph.nodes = [
      Node("MatMul", name: "first", inputs: ["x", "v"], outputs: ["a"]),
      Node("Relu", name: "relu", inputs: ["a"], outputs: ["b"]),
      Node("MatMul", name: "second", inputs: ["b", "w"], outputs: ["y"]),
    ]
    try ONNXFile.write(graph, to: "\(folder)/m.onnx")
    for (name, count) in [("s", samples), ("t", 3)] {
      try NPZ.write(
        ["x": .float32(Tensor([count, 96], normalUsing: &generator))], to: "\(folder)/\(name).npz")
    }
    return [
      "compress", "\(folder)/m.onnx", "--data", "inputs:\(folder)/s.npz", "-o",
      "\(folder)/o.onnx", "--no-timing",
    ]
  }

  @Test func samplesThatJudgeAreSaid() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder) + ["--technique", "quantize"]
      let outcome = try swiftlet(command)
      #expect(
        outcome.output.contains(
          "on 3 samples held back, after calibration with 9 others"),
        "\(outcome.output)")
      let half = try swiftlet(command + ["--split", "0.5", "--json"]).json()
      #expect(half["samples"] as? Int == 6)
      let other = try swiftlet(
        command + ["--judge", "inputs:\(folder)/t.npz", "--json"]
      ).json()
      #expect(other["samples"] as? Int == 12)
      #expect((other["agreement"] as? [String: Any])?["samples"] as? Int == 3)
      expectFailure(
        try swiftlet(command + ["--judge", "inputs:\(folder)/s.npz"]), 2, "12 of the 12 samples")
      expectFailure(try swiftlet(command + ["--judge", "fashion-mnist"]), 2, "no labels")
      expectFailure(try swiftlet(command + ["--split", "1"]), 2, "split")
      expectFailure(try swiftlet(command + ["--preprocess", "raw"]), 3, "--preprocess")
      let sensitivity = try swiftlet(
        "sensitivity", "\(folder)/m.onnx", "--data", "inputs:\(folder)/s.npz", "--json")
      #expect(try sensitivity.json()["calibrationSamples"] as? Int == 9)
    }
  }

  @Test func targetsAreReached() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder) + ["--technique", "svd", "--allocation", "ratio", "--json"]
      let outcome = try swiftlet(command + ["--target-size", "50%", "--target-macs", "12k"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let after = try #require(try outcome.json()["after"] as? [String: Any])
      #expect(after["fileBytes"] as? Int == (try InputFile.read("\(folder)/o.onnx")).count)
      #expect(try #require(after["macs"] as? Int) <= 12_000)
      // The mildest that reaches them.
      #expect(try #require(after["macs"] as? Int) > 4_000)
      expectFailure(try swiftlet(command + ["--target-size", "100"]), 3, "more than 100")
    }
  }

  @Test func reportsAreCompared() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder) + ["--json", "--quiet", "--technique"]
      for technique in ["svd", "quantize"] {
        let outcome = try swiftlet(command + [technique])
        try AtomicFile.write(outcome.output, to: "\(folder)/\(technique).json")
      }
      let files = ["\(folder)/svd.json", "\(folder)/quantize.json"]
      let compare = try swiftlet(["compare"] + files)
      #expect(compare.code == 0, "\(compare.errors)")
      for part in ["worst answers", " dB", "quantize"] {
        #expect(compare.output.contains(part))
      }
      #expect(try swiftlet(["compare", "--json"] + files).output.contains("\"isHeldBack\" : true"))
      let page = try swiftlet(["compare", "--report", "\(folder)/c.html"] + files)
      #expect(page.code == 0, "\(page.errors)")
      let html = String(decoding: try InputFile.read("\(folder)/c.html"), as: UTF8.self)
      #expect(html.contains("3 models compared") && html.contains("Answers and size"))
    }
  }

  /// The page of a compression, and the same from its JSON; without samples it has no answers.
  @Test func reportsHavePages() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder) + ["--technique", "quantize", "--json", "--quiet", "--report"]
      let outcome = try swiftlet(command + ["\(folder)/a.html"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      try AtomicFile.write(outcome.output, to: "\(folder)/a.json")
      #expect(try swiftlet("compare", "\(folder)/a.json", "--report", "\(folder)/b.html").code == 0)
      let pages = try ["a", "b"].map { name in
        String(decoding: try InputFile.read("\(folder)/\(name).html"), as: UTF8.self)
      }
      #expect(pages[0] == pages[1] && pages[0].contains("<h2>Answers</h2>"))
      expectFailure(try swiftlet(command + ["\(folder)/o.onnx"]), 2, "same file")
      let bare = try swiftlet(
        "compress", "\(folder)/m.onnx", "--technique", "quantize", "--mode", "dynamic", "-o",
        "\(folder)/w.onnx", "--report", "\(folder)/w.html", "--quiet")
      #expect(bare.code == 0, "\(bare.errors)")
      let page = String(decoding: try InputFile.read("\(folder)/w.html"), as: UTF8.self)
      #expect(!page.contains("<h2>Answers</h2>") && page.contains("no samples"))
    }
  }

  @Test func modelsAreComparedWithoutLabels() throws {
    try withTemporaryFolder { folder in
      #expect(try swiftlet(put(folder) + ["--technique", "quantize", "--quiet"]).code == 0)
      let command = [
        "compare", "\(folder)/m.onnx", "\(folder)/o.onnx", "--data", "inputs:\(folder)/s.npz",
        "--seconds", "0.01", "--threads", "1",
      ]
      let outcome = try swiftlet(command + ["--report", "\(folder)/c.html"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      for part in ["worst answers", " dB", "cosine", "b1 t1", "b12 t1", "on 12 samples", "  y: "] {
        #expect(outcome.output.contains(part), "\(part)")
      }
      let html = String(decoding: try InputFile.read("\(folder)/c.html"), as: UTF8.self)
      #expect(html.contains("Answers and size") && html.contains("<h2>Outputs</h2>"))
      let json = try swiftlet(command + ["--judged-output", "y", "--json"]).json()
      let models = try #require(json["models"] as? [[String: Any]])
      let agreement = try #require(models[1]["agreement"] as? [String: Any])
      #expect(
        (agreement["outputs"] as? [[String: Any]])?.count == 1 && models[0]["agreement"] == nil)
      #expect(models[0]["fileBytes"] as? Int == (try InputFile.read("\(folder)/m.onnx")).count)
      expectFailure(try swiftlet(command + ["--judged-output", "heat"]), 2, "no output 'heat'")
      expectFailure(try swiftlet(command + ["--fixed", "rate=1"]), 2, "no input 'rate'")
      expectFailure(
        try swiftlet("compare", "\(folder)/a.json", "--fixed", "rate=1"), 64, "need --data")
    }
  }

  /// A manifest is good wherever it is read from, and wherever its folder is moved.
  @Test func manifestsVerifyAnywhere() throws {
    try withTemporaryFolder { folder in
      let outcome = try swiftlet(
        try put(folder) + ["--technique", "svd,quantize", "--judge", "inputs:\(folder)/t.npz"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      try withTemporaryFolder { other in
        let moved = "\(other)/moved"
        try FileManager.default.copyItem(atPath: folder, toPath: moved)
        for name in ["m.onnx", "s.npz", "t.npz", "o.onnx"] {
          try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
        let verify = try swiftlet("verify", "\(moved)/o.manifest.json", "--rerun")
        #expect(verify.code == 0, "\(verify.output) \(verify.errors)")
        #expect(verify.output.contains("ok  answers") && verify.output.contains("same bytes"))
        try AtomicFile.write(try InputFile.read("\(moved)/s.npz"), to: "\(moved)/t.npz")
        let others = try swiftlet("verify", "\(moved)/o.manifest.json")
        #expect(others.code == 2 && others.output.contains("FAILED  answers"))
        try AtomicFile.write(try InputFile.read("\(moved)/m.onnx"), to: "\(moved)/o.onnx")
        let changed = try swiftlet("verify", "\(moved)/o.manifest.json")
        #expect(changed.code == 2 && changed.output.contains("FAILED  output"))
      }
    }
  }

  /// Steps that were finished are not made a second time, and other samples make other ones.
  @Test func interruptedCompressionGoesOn() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder) + ["--allocation", "ratio", "--technique"]
      let stages = "\(folder)/o.onnx.stages"
      // The last step is refused: what came before it is kept.
      expectFailure(try swiftlet(command + ["svd,quantize,quantize"]), 3, "already quantized")
      #expect(try names(in: stages).count == 4)
      let good = try swiftlet(command + ["svd,quantize"])
      #expect(good.code == 0 && good.errors.contains("svd: reused from an earlier run"))
      #expect(good.errors.contains("quantize: reused from an earlier run"), "\(good.errors)")
      #expect(!FileManager.default.fileExists(atPath: stages))
      let whole = try InputFile.read("\(folder)/o.onnx")
      #expect(try swiftlet(command + ["svd,quantize", "--quiet"]).code == 0)
      #expect(try InputFile.read("\(folder)/o.onnx") == whole)
      expectFailure(try swiftlet(command + ["svd,quantize,quantize"]), 3, "already quantized")
      try AtomicFile.write(try InputFile.read("\(folder)/t.npz"), to: "\(folder)/s.npz")
      let other = try swiftlet(command + ["svd,quantize"])
      #expect(other.code == 0 && !other.errors.contains("earlier run"), "\(other.errors)")
    }
  }
}
