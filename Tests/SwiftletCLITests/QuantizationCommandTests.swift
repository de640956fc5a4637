// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

struct QuantizationCommandTests {
  /// A model of two convolutions, and 12 inputs for it.
  private func put(_ folder: String) throws -> (model: String, data: String) {
    var generator = RandomGenerator(seed: 4)
    var graph = Graph(name: "two")
    graph.inputs = [
      ValueInfo("x", .float32, [.symbolic("N"), .fixed(2), .fixed(6), .fixed(6)])
    ]
    graph.outputs = [
      ValueInfo("y", .float32, [.symbolic("N"), .fixed(3), .fixed(4), .fixed(4)])
    ]
    graph.initializers = [
      "v": .float32(Tensor([16, 2, 3, 3], normalUsing: &generator)),
      "w": .float32(Tensor([3, 16, 1, 1], normalUsing: &generator)),
    ]
    graph.nodes = [
      Node("Conv", name: "first", inputs: ["x", "v"], outputs: ["a"]),
      Node("Relu", name: "relu", inputs: ["a"], outputs: ["b"]),
      Node("Conv", name: "second", inputs: ["b", "w"], outputs: ["y"]),
    ]
    let (model, data) = ("\(folder)/two.onnx", "\(folder)/inputs.npz")
    try ONNXFile.write(graph, to: model)
    try NPZ.write(["x": .float32(Tensor([12, 2, 6, 6], normalUsing: &generator))], to: data)
    return (model, "inputs:\(data)")
  }

  @Test func inputsWithoutLabelsAreEnough() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let outcome = try swiftlet(
        "compress", model, "--technique", "quantize", "--data", data, "--calibration-size", "8",
        "-o", "\(folder)/int8.onnx", "--json", "--quiet")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let report = try outcome.json()
      let agreement = try #require(report["agreement"] as? [String: Any])
      // Of twelve samples four were not calibrated with.
      #expect(agreement["samples"] as? Int == 4 && report["samples"] as? Int == 8)
      #expect(report["isHeldBack"] as? Bool == true)
      #expect((agreement["decibels"] as? Double ?? 0) > 30)
      let graph = try ONNXFile.read("\(folder)/int8.onnx")
      #expect(graph.initializers["v.quantized"]?.dtype == .int8)
      let again = try swiftlet(
        "compress", "\(folder)/int8.onnx", "--technique", "quantize", "--data", data, "-o",
        "\(folder)/twice.onnx")
      expectFailure(again, 3, "already quantized")
    }
  }

  @Test func layersThatAreNotThereAreNamed() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      for option in ["--keep", "--int4", "--bf16"] {
        let outcome = try swiftlet(
          "compress", model, "--technique", "quantize", "--data", data, option, "third", "-o",
          "\(folder)/x.onnx")
        expectFailure(outcome, 2, "no layer 'third'")
      }
      let outcome = try swiftlet(
        "compress", model, "--technique", "quantize", "--data", data, "--calibration-size", "8",
        "--bf16", "second", "-o", "\(folder)/x.onnx", "--json", "--quiet")
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(try ONNXFile.read("\(folder)/x.onnx").initializers["w.bf16"] != nil)
    }
  }

  @Test func sensitivityNamesLayersAndCauses() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let outcome = try swiftlet(
        "sensitivity", model, "--data", data, "--bits", "4", "--json", "--quiet")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let layers = try #require(try outcome.json()["layers"] as? [[String: Any]])
      #expect(layers.map { $0["layer"] as? String } == ["first", "second"])
      #expect(layers.allSatisfy { ($0["cause"] as? String)?.hasSuffix("eights") == true })
      let table = try swiftlet("sensitivity", model, "--data", data)
      #expect(table.code == 0 && table.output.contains("outliers ×"))
    }
  }

  @Test func mistakesAreNamed() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      func compress(_ options: String...) throws -> Outcome {
        let process = options + ["-o", "\(folder)/out.onnx"]
        return try swiftlet(["compress", model, "--data", data] + process)
      }
      expectFailure(try compress("--technique", "distill"), 3, "images with labels")
      expectFailure(try compress("--technique", "quantize", "--qat-epochs", "1"), 3, "labels")
      expectFailure(try compress("--technique", "quantize", "--bits", "5"), 2, "bits 5")
      expectFailure(
        try compress("--technique", "quantize", "--weight-only", "--dynamic"), 64, "either")
      expectFailure(try compress("--technique", "quantize", "--observer", "best"), 64, "observer")
      try NPZ.write(["z": .float32(Tensor(zeros: [2]))], to: "\(folder)/inputs.npz")
      expectFailure(try compress("--technique", "quantize"), 2, "no array 'x'")
      try AtomicFile.write("no archive", to: "\(folder)/inputs.npz")
      expectFailure(try compress("--technique", "quantize"), 2, "inputs.npz")
    }
  }

  /// As many samples as calibration would take: a quarter is held back to judge by.
  @Test func aQuarterIsHeldBack() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let outcome = try swiftlet(
        "compress", model, "--technique", "quantize", "--data", data, "--no-timing", "-o",
        "\(folder)/int8.onnx", "--json")
      #expect(outcome.code == 0 && outcome.errors.contains("9 samples"), "\(outcome.errors)")
      let report = try outcome.json()
      let agreement = try #require(report["agreement"] as? [String: Any])
      #expect(agreement["samples"] as? Int == 3 && report["samples"] as? Int == 9)
      let before = try #require(report["before"] as? [String: Any])
      #expect(before["samplesPerSecond"] == nil)
      #expect(before["fileBytes"] as? Int == (try InputFile.read(model, limit: .max)).count)
      var generator = RandomGenerator(seed: 4)
      try NPZ.write(
        ["x": .float32(Tensor([1, 2, 6, 6], normalUsing: &generator))], to: "\(folder)/one.npz")
      let one = try swiftlet(
        "compress", model, "--technique", "quantize", "--data", "inputs:\(folder)/one.npz",
        "--no-timing", "-o", "\(folder)/int8.onnx")
      #expect(one.code == 0 && one.output.contains("1 sample that it was calibrated with"))
    }
  }

  @Test func weightsAloneNeedNoData() throws {
    try withTemporaryFolder { folder in
      let (model, _) = try put(folder)
      let outcome = try swiftlet(
        "compress", model, "--technique", "quantize", "--weight-only", "-o",
        "\(folder)/int8.onnx", "--group-size", "0")
      #expect(outcome.code == 0 && outcome.output.contains("not compared"), "\(outcome.errors)")
      let graph = try ONNXFile.read("\(folder)/int8.onnx")
      #expect(graph.initializers["v.quantized"]?.dtype == .int8)
      for options in [
        [], ["--weight-only", "--rounding", "gptq"], ["--dynamic", "--qat-epochs", "1"],
      ] {
        let refused = try swiftlet(
          ["compress", model, "--technique", "quantize", "-o", "\(folder)/x.onnx"] + options)
        expectFailure(refused, 64, "--data")
      }
      expectFailure(
        try swiftlet("compress", model, "--preset", "fast", "-o", "\(folder)/x.onnx"), 64, "--data")
      expectFailure(
        try swiftlet("compress", model, "--technique", "best", "-o", "\(folder)/x.onnx"), 64,
        "svd", "quantize")
    }
  }

  @Test func inputsAreFixedAndOutputsChosen() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      var graph = try ONNXFile.read(model)
      graph.inputs.append(ValueInfo("rate", .float32, []))
      graph.nodes.append(Node("Mul", name: "last", inputs: ["y", "rate"], outputs: ["z"]))
      graph.outputs.append(ValueInfo("z", .float32, graph.outputs[0].dimensions))
      try ONNXFile.write(graph, to: model)
      func compress(_ options: String...) throws -> Outcome {
        try swiftlet(
          [
            "compress", model, "--technique", "quantize", "--data", data, "--no-timing", "--json",
            "--quiet", "-o", "\(folder)/int8.onnx",
          ] + options)
      }
      expectFailure(try compress(), 2, "no array 'rate'", "--fixed rate=VALUE")
      let both = try compress("--fixed", "rate=2")
      let agreement = try #require(try both.json()["agreement"] as? [String: Any])
      #expect((agreement["outputs"] as? [Any])?.count == 2)
      try AtomicFile.write(NPY.encode(.float32(Tensor(.scalar, [0]))), to: "\(folder)/zero.npy")
      let chosen = try compress("--fixed", "rate=\(folder)/zero.npy", "--judged-output", "z")
      let zero = try #require(try chosen.json()["agreement"] as? [String: Any])
      #expect((zero["outputs"] as? [Any])?.count == 1 && zero["decibels"] as? Double == 200)
      expectFailure(
        try compress("--fixed", "rate=1", "--judged-output", "q"), 2, "no output 'q'", "y, z")
      let sensitivity = try swiftlet(
        "sensitivity", model, "--data", data, "--fixed", "rate=2", "--judged-output", "z",
        "--json", "--quiet")
      #expect(sensitivity.code == 0, "\(sensitivity.errors)")
    }
  }

  /// What cannot be done is said before anything is done.
  @Test func presetsWithoutLabelsAreRefusedAtOnce() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let outcome = try swiftlet(
        "compress", model, "--preset", "balanced", "--data", data, "-o", "\(folder)/x.onnx")
      expectFailure(outcome, 3, "images with labels")
      #expect(!outcome.errors.contains("prune:"))
    }
  }

  /// Open extents are what they seem to mean, or what is given, and either is said.
  @Test func openExtentsAreSaid() throws {
    try withTemporaryFolder { folder in
      var (model, _) = try put(folder)
      var graph = try ONNXFile.read(model)
      for (axis, name) in [(2, "H"), (3, "W")] {
        graph.inputs[0].dimensions[axis] = .symbolic(name)
        graph.outputs[0].dimensions[axis] = .symbolic("\(name)2")
      }
      model = "\(folder)/open.onnx"
      try ONNXFile.write(graph, to: model)
      let inspect = try swiftlet("inspect", model, "--json").json()
      #expect(inspect["extents"] as? [String: Int] == ["H": 224, "W": 224])
      // 16 outputs of 2·9 products, and 3 of 16, at each of 222² places.
      #expect(inspect["macs"] as? Int == 222 * 222 * (16 * 18 + 3 * 16))
      let given = try swiftlet("inspect", model, "--extent", "H=8", "--extent", "W=9")
      #expect(given.code == 0 && given.output.contains("H=8, W=9"), "\(given.errors)")
      #expect(given.output.contains("MACs        \(6 * 7 * 336)"))
      let plan = try swiftlet("plan", model, "--extent", "H=8", "--extent", "W=9")
      #expect(plan.code == 0 && plan.output.contains("with H=8, W=9"), "\(plan.errors)")
      expectFailure(try swiftlet("plan", model, "--extent", "D=8"), 2, "no input", "H, W")
    }
  }

  /// Indices are below the length of the table that they look up in.
  @Test func plansFeedIndicesByTheirUse() throws {
    try withTemporaryFolder { folder in
      var generator = RandomGenerator(seed: 4)
      var graph = Graph(name: "table")
      graph.inputs = [ValueInfo("i", .int64, [.symbolic("N"), .symbolic("S")])]
      graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .symbolic("S"), .fixed(8)])]
      graph.initializers = [
        "e": .float32(Tensor([5, 16], normalUsing: &generator)),
        "w": .float32(Tensor([16, 8], normalUsing: &generator)),
      ]
      graph.nodes = [
        Node("Gather", name: "gather", inputs: ["e", "i"], outputs: ["v"]),
        Node("MatMul", name: "product", inputs: ["v", "w"], outputs: ["y"]),
      ]
      let model = "\(folder)/table.onnx"
      try ONNXFile.write(graph, to: model)
      let plan = try swiftlet("plan", model, "--json").json()
      let rows = try #require(plan["rows"] as? [[String: Any]])
      let quantized = try #require(rows.first { $0["name"] as? String == "quantize" })
      #expect(quantized["changed"] as? Int == 1 && plan["extents"] as? [String: Int] == ["S": 128])
    }
  }

  @Test func plainWeightsAreCastAndMultiplied() throws {
    try withTemporaryFolder { folder in
      let (model, data) = try put(folder)
      let outcome = try swiftlet(
        "compress", model, "--technique", "quantize", "--weight-only", "--plain-weights", "--data",
        data, "--no-timing", "-o", "\(folder)/int8.onnx", "--json", "--quiet")
      let agreement = try #require(try outcome.json()["agreement"] as? [String: Any])
      #expect(agreement["decibels"] as? Double ?? 0 > 30)
      let graph = try ONNXFile.read("\(folder)/int8.onnx")
      #expect(graph.nodes.map(\.opType) == ["Cast", "Mul", "Conv", "Relu", "Cast", "Mul", "Conv"])
      #expect(graph.simplified().nodes.map(\.opType) == ["Conv", "Relu", "Conv"])
      expectFailure(
        try swiftlet(
          "compress", model, "--technique", "quantize", "--plain-weights", "--data", data, "-o",
          "\(folder)/x.onnx"), 2, "--plain-weights requires")
    }
  }
}
