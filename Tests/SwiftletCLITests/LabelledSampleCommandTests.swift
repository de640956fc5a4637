// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Labelled data for models that need more than images, or that name no classes.
struct LabelledSampleCommandTests {
  /// Points in four dimensions whose class is their largest coordinate, times a gain for all, and
  /// a model that answers it: as samples × classes, or with an axis more.
  private func put(_ folder: String, isMap: Bool = false) throws -> [String] {
    var generator = RandomGenerator(seed: 6)
    let x = Tensor<Float>([42, 4], normalUsing: &generator)
    let y = largestCoordinates(x)
    try NPZ.write(
      ["x": .float32(x), "y": .int64(Tensor([42], y))], to: "\(folder)/a.npz")
    try NPZ.write(
      ["x": .float32(x), "y": .int64(Tensor([42], y.map { ($0 + 1) % 4 }))],
      to: "\(folder)/wrong.npz")

    var graph = largestCoordinateModel(output: "product")
    graph.outputs[0].name = "scores"
    if isMap {
      graph.outputs = [ValueInfo("map", .float32, [.symbolic("N"), .fixed(4), .fixed(1)])]
      graph.initializers["axis"] = .int64(Tensor([1], [2]))
      graph.nodes.append(
        Node("Unsqueeze", name: "axes", inputs: ["product", "axis"], outputs: ["map"]))
    } else {
      graph.inputs.append(ValueInfo("gain", .float32, []))
      graph.nodes.append(
        Node("Mul", name: "gain", inputs: ["product", "gain"], outputs: ["scores"]))
    }
    try ONNXFile.write(graph, to: "\(folder)/m.onnx")
    return [
      "compress", "\(folder)/m.onnx", "--data", "npz:\(folder)/a.npz", "-o", "\(folder)/o.onnx",
      "--json",
    ]
  }

  private func score(_ json: [String: Any]) throws -> (name: String?, after: Double?) {
    let metric = try #require(json["metric"] as? [String: Any])
    return ((metric["metric"] as? [String: Any])?["name"] as? String, metric["after"] as? Double)
  }

  @Test func inputsMayBeFixed() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder)
      let fixed = ["--fixed", "gain=2"]
      let outcome = try swiftlet(command + fixed + ["--technique", "quantize"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let found = try score(try outcome.json())
      #expect(found.name == "top1" && found.after == 1)
      // Labels count: a limit on the drop of accuracy, and the digest in the manifest.
      let limited = try swiftlet(
        command + fixed + ["--technique", "svd", "--allocation", "ratio", "--max-drop", "5"])
      #expect(limited.code == 0, "\(limited.errors)")
      #expect(try #require(try score(try limited.json()).after) >= 0.95)
      let verified = try swiftlet("verify", "\(folder)/o.manifest.json")
      #expect(verified.code == 0, "\(verified.output) \(verified.errors)")
      #expect(verified.output.contains("ok  metric: top1"))

      let comparison = try swiftlet(
        ["compare", "\(folder)/m.onnx", "\(folder)/o.onnx", "--data", "npz:\(folder)/a.npz"]
          + fixed + ["--seconds", "0.01", "--report", "\(folder)/c.html"])
      #expect(comparison.code == 0, "\(comparison.errors)")
      #expect(comparison.output.contains("top1"))
      try NPZ.write(NPZ.read("\(folder)/wrong.npz"), to: "\(folder)/a.npz")
      let changed = try swiftlet("verify", "\(folder)/o.manifest.json")
      #expect(changed.code == 2 && changed.output.contains("FAILED  samples"))

      expectFailure(
        try swiftlet(command + fixed + ["--technique", "distill"]), 3, "steps that train", "--fixed"
      )
      expectFailure(
        try swiftlet(command + ["--technique", "quantize"]), 2, "no array 'points'", "--fixed")
    }
  }

  /// A metric of one's own needs no classes.
  @Test func outputsNeedNoClasses() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder, isMap: true) + ["--technique", "quantize"]
      let outcome = try swiftlet(command + ["--metric", "command:echo 0.5; true"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let found = try score(try outcome.json())
      #expect(found.name == "command:echo 0.5; true" && found.after == 0.5)
      let comparison = try swiftlet(
        "compare", "\(folder)/m.onnx", "\(folder)/o.onnx", "--data", "npz:\(folder)/a.npz",
        "--seconds", "0.01", "--metric", "command:echo 0.5; true")
      #expect(comparison.code == 0, "\(comparison.errors)")
      expectFailure(try swiftlet(command), 2, "4")
    }
  }

  /// What cannot work is said before anything is computed.
  @Test func impossibleOrdersAreRefusedAtOnce() throws {
    try withTemporaryFolder { folder in
      let command = try put(folder)
      expectFailure(
        try swiftlet(command + ["--technique", "quantize,svd"]), 3,
        "svd cannot follow quantize", "put quantize last")
      #expect(try !names(in: folder).contains("o.onnx.stages"))
    }
  }

  @Test func samplesThatFillNoBatchAreCounted() throws {
    try withTemporaryFolder { folder in
      _ = try put(folder)
      var graph = try ONNXFile.read("\(folder)/m.onnx")
      graph.inputs[0].dimensions[0] = .fixed(16)
      graph.outputs[0].dimensions[0] = .fixed(16)
      try ONNXFile.write(graph, to: "\(folder)/sixteen.onnx")
      let outcome = try swiftlet(
        "evaluate", "\(folder)/sixteen.onnx", "--data", "npz:\(folder)/a.npz", "--fixed",
        "gain=2", "--metric", "cosine", "--original", "\(folder)/m.onnx")
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.errors.contains("10 of 42 samples"))
    }
  }
}
