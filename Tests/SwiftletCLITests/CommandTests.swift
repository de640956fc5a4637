// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// The built command, run as a user runs it: exit codes, the one error line, JSON keys.
@Suite(.serialized) struct CommandTests {
  @Test func theMainJobRunsFromTrainingToBenchmark() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      let (data, model) = ("idx:\(folder)", "\(folder)/m.onnx")
      let train = try swiftlet(
        "train", "--data", data, "--epochs", "2", "--batch", "20", "--lr", "2e-3", "-o", model,
        "--json", "--threads", "2")
      #expect(train.code == 0, "\(train.errors)")
      #expect(try train.json().keys.contains("top1"))
      #expect(try names(in: folder).contains("m.curves.svg"))
      #expect(try !names(in: folder).contains { $0.hasSuffix(".checkpoint") })

      let evaluate = try swiftlet("evaluate", model, "--data", data, "--json")
      #expect(
        Set(try evaluate.json().keys) == ["top1", "top5", "loss", "images", "imagesPerSecond"])
      #expect(try evaluate.json()["images"] as? Int == 80)
      #expect(try train.json()["top1"] as? Double == evaluate.json()["top1"] as? Double)

      let small = "\(folder)/small.onnx"
      let compress = try swiftlet(
        "compress", model, "--technique", "lowrank,quantize", "--data", data, "-o", small,
        "--report", "\(folder)/r.html", "--json", "--quiet")
      #expect(compress.code == 0 && compress.errors.isEmpty, "\(compress.errors)")
      #expect(try compress.json()["techniques"] as? [String] == ["lowrank", "quantize"])
      try AtomicFile.write(compress.output, to: "\(folder)/r.json")
      #expect(try compress.json()["speeds"] is [[String: Any]])
      #expect(try swiftlet("compare", "\(folder)/r.json").output.contains("lowrank,quantize"))
      // One report is shown as it was written; the page says so again.
      let again = try swiftlet("compare", "\(folder)/r.json", "--report", "\(folder)/again.html")
      #expect(again.code == 0, "\(again.errors)")
      #expect(
        try InputFile.read("\(folder)/again.html") == InputFile.read("\(folder)/r.html"))

      let compare = try swiftlet(
        "compare", model, small, "--data", data, "--batch", "1", "--seconds", "0.01", "--json",
        "--report", "\(folder)/c.html")
      #expect(compare.code == 0, "\(compare.errors)")
      let compared = try #require(try compare.json()["models"] as? [[String: Any]])
      #expect(compared.map { $0["name"] as? String } == ["m", "small"])
      #expect(compared[0]["top1"] as? Double == (try evaluate.json()["top1"] as? Double))
      #expect(try compare.json()["images"] as? Int == 80)
      #expect(
        String(decoding: try InputFile.read("\(folder)/c.html"), as: UTF8.self)
          .contains("2 models compared"))

      let bench = try swiftlet(
        "bench", model, small, "--batch", "1,2", "--threads", "1", "--seconds", "0.01", "--json")
      let rows = try #require(try bench.json()["rows"] as? [[String: Any]])
      #expect(rows.count == 4)
      #expect(
        Set(rows[0].keys).isSuperset(
          of: ["model", "batch", "threads", "imagesPerSecond", "p50ms", "p99ms"]))

      let inspect = try swiftlet("inspect", model, "--json").json()
      #expect(inspect["macs"] as? Int == 12_945_408)
      #expect((inspect["nodes"] as? [Any])?.count == 16)

      let input = Tensor<Float>(zeros: [3, 3, 32, 32])
      try AtomicFile.write(NPY.encode(.float32(input)), to: "\(folder)/x.npy")
      let run = try swiftlet(
        "run", model, "--input", "input=\(folder)/x.npy", "--output-dir", "\(folder)/results/new")
      #expect(run.code == 0, "\(run.errors)")
      let bf16 = try swiftlet(
        "bench", model, "--batch", "1", "--threads", "1", "--seconds", "0.01", "--precision",
        "bf16",
        "--profile", "--json")
      #expect(bf16.output.contains("bf16"), "\(bf16.errors)")
      #expect(try NPY.read("\(folder)/results/new/logits.npy").shape == [3, 4])
    }
  }

  @Test func recipesAreFollowed() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      try AtomicFile.write(
        "steps: [{technique: svd, allocation: ratio, ratio: 0.2}]", to: "\(folder)/r.yaml")
      let outcome = try swiftlet(
        "compress", "\(folder)/m.onnx", "--recipe", "\(folder)/r.yaml", "--data", "idx:\(folder)",
        "-o", "\(folder)/s.onnx", "--json")
      let layers = try #require(try outcome.json()["layers"] as? [[String: Any]])
      #expect(layers[0]["rank"] as? Int == 51)
    }
  }

  @Test func compressionSaysWhatDataGain() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      let outcome = try swiftlet(
        "compress", "\(folder)/m.onnx", "--technique", "eigen", "--allocation", "ratio", "--data",
        "idx:\(folder)", "-o", "\(folder)/s.onnx")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let errors = outcome.output.matches(
        of: /rank \d+ of \d+, error ([\d.]+) % \(weights only ([\d.]+) %\)/)
      #expect(errors.count == 4)
      for match in errors {
        #expect(try #require(Double(match.1)) < #require(Double(match.2)))
      }
    }
  }

  @Test(arguments: [["prune"], ["lowrank", "--methods", "prune,tucker"]])
  func channelsAreAllocated(technique: [String]) throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      let outcome = try swiftlet(
        ["compress", "\(folder)/m.onnx", "--technique"] + technique + [
          "--ratio", "0.4", "--cost", "macs", "--data", "idx:\(folder)", "-o",
          "\(folder)/s.onnx", "--json", "--quiet",
        ])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let report = try outcome.json()
      let macs = try ["before", "after"].map {
        try #require((report[$0] as? [String: Any])?["macs"] as? Double)
      }
      #expect(macs[1] <= 0.4 * macs[0])
      let layers = try #require(report["layers"] as? [[String: Any]])
      let first = try #require(layers[0]["rejected"] as? [[String: Any]])
      #expect(first.contains { ($0["choice"] as? String)?.hasSuffix("channels") == true })
    }
  }

  @Test func wrongUsageExitsWith64() throws {
    expectFailure(try swiftlet("train", "--data", "x"), 64, "--output")
    expectFailure(try swiftlet("frobnicate"), 64, "frobnicate")
    expectFailure(
      try swiftlet("train", "--data", "x", "-o", "m", "--epochs", "0"), 64, "--epochs 0")
    expectFailure(
      try swiftlet("train", "--data", "x", "-o", "m", "--optimizer", "magic"), 64, "magic")
    expectFailure(
      try swiftlet("evaluate", "m", "--data", "x", "--threads", "0"), 64, "--threads 0")
    expectFailure(try swiftlet("compress", "m", "--data", "x", "-o", "y"), 64, "--technique")
    expectFailure(
      try swiftlet("compress", "m", "--technique", "svd,magic", "--data", "x", "-o", "y"), 64)
    expectFailure(
      try swiftlet(
        "compress", "m", "--technique", "prune", "--ratio", "0.5", "--width", "0.5", "--data", "x",
        "-o", "y"), 2, "--width")
    expectFailure(
      try swiftlet(
        "compress", "m", "--technique", "eigen", "--methods", "prune", "--data", "x", "-o", "y"),
      2, "--methods")
    expectFailure(try swiftlet("bench", "m", "--batch", "1,,2"), 64, "1,,2")
    expectFailure(try swiftlet("compare"), 64, "files")
    expectFailure(try swiftlet("compare", "m", "--data", "x", "--seconds", "0"), 64, "--seconds")
    expectFailure(try swiftlet("bench", "m", "--precision", "fp8"), 64, "fp8")
  }

  @Test func badInputExitsWith2AndOneLine() throws {
    try withTemporaryFolder { folder in
      let model = "\(folder)/m.onnx"
      try ONNXFile.write(SeedCNN.make(classes: 10, seed: 0), to: model)
      try putPictures(folder)
      let data = "idx:\(folder)"
      expectFailure(try swiftlet("inspect", "\(folder)/none.onnx"), 2, "none.onnx")
      expectFailure(try swiftlet("inspect", folder), 2, "folder")
      try AtomicFile.write("rubbish", to: "\(folder)/bad.onnx")
      expectFailure(try swiftlet("inspect", "\(folder)/bad.onnx"), 2, "bad.onnx")
      expectFailure(try swiftlet("evaluate", model, "--data", "nonsense"), 2, "nonsense")
      expectFailure(
        try swiftlet("train", "--data", data, "-o", "\(folder)/no/such/m.onnx"), 2, "no/such")
      expectFailure(
        try swiftlet("train", "--data", data, "--split", "1.5", "-o", model), 2, "1.5")
      expectFailure(
        try swiftlet("train", "--data", data, "--lr", "1e6", "--optimizer", "sgd", "-o", model), 2,
        "--learning-rate")
      try AtomicFile.write([0, 0, 8, 3, 0, 0], to: "\(folder)/t10k-images-idx3-ubyte")
      expectFailure(
        try swiftlet("evaluate", model, "--data", data), 2, "t10k-images-idx3-ubyte")
      expectFailure(try swiftlet("compare", "\(folder)/bad.onnx"), 2, "bad.onnx", "--data")
      expectFailure(
        try swiftlet("compare", model, "\(folder)/bad.onnx", "--data", "\(data):train"), 2,
        "bad.onnx")
      expectFailure(
        try swiftlet("compare", model, "--data", data, "--report", "\(folder)/no/c.html"), 2, "no")
      let wrong = NPY.encode(.float32(Tensor(zeros: [1, 3, 8, 8])))
      try AtomicFile.write(wrong, to: "\(folder)/x.npy")
      expectFailure(
        try swiftlet(
          "run", model, "--input", "input=\(folder)/x.npy", "--output-dir", folder), 2,
        "N×3×32×32")
    }
  }

  @Test func whatIsNotSupportedExitsWith3() throws {
    try withTemporaryFolder { folder in
      var graph = SeedCNN.make(classes: 10, seed: 0)
      graph.nodes[1].opType = "StringNormalizer"
      try ONNXFile.write(graph, to: "\(folder)/m.onnx")
      expectFailure(
        try swiftlet("bench", "\(folder)/m.onnx"), 3, "StringNormalizer", "relu1")
      // inspect still works, and names what is not supported.
      let inspect = try swiftlet("inspect", "\(folder)/m.onnx", "--json").json()
      #expect((inspect["unsupported"] as? [String])?.count == 1)
      expectFailure(try swiftlet("evaluate", "\(folder)/m.onnx", "--data", "npz:x"), 2, "x")
    }
  }

  @Test func helpAndVersionExitWith0() throws {
    for command in [
      "train", "evaluate", "run", "compress", "compare", "bench", "inspect", "doctor",
    ] {
      let help = try swiftlet(command, "--help")
      #expect(help.code == 0 && help.output.contains("USAGE: swiftlet \(command)"))
      #expect(help.output.contains("--json") && help.output.contains("--quiet"))
    }
    let compare = try swiftlet("compare", "--help").output
    for option in ["--data", "--report", "--batch", "--seconds", "JSON"] {
      #expect(compare.contains(option))
    }
    let version = try swiftlet("--version")
    #expect(version.code == 0 && version.output.contains("OpenBLAS"))
  }

  @Test func doctorNamesWhatIsInUse() throws {
    let report = try swiftlet("doctor", "--json").json()
    #expect(
      Set(report.keys).isSuperset(of: ["cpu", "features", "isa", "kernels", "blas", "threads"]))
    let loops = try swiftlet("doctor", "--json", environment: ["SWIFTLET_BLAS": "swift"]).json()
    #expect((loops["blas"] as? [String: Any])?["uses"] as? String == "Swift")
    let scalar = try swiftlet("doctor", "--json", environment: ["SWIFTLET_ISA": "scalar"]).json()
    #expect(scalar["isa"] as? String == "scalar")
    expectFailure(try swiftlet("doctor", environment: ["SWIFTLET_ISA": "mmx"]), 2, "mmx")
  }

  /// Interrupting a run leaves a checkpoint and no model; resuming ends as if nothing had happened.
  @Test func interruptedTrainingCanBeResumed() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      func arguments(_ model: String) -> [String] {
        [
          "train", "--data", "idx:\(folder)", "--epochs", "6", "--batch", "8", "-o", model,
          "--checkpoint-every", "1", "--threads", "1", "--quiet",
        ]
      }
      let (whole, parted) = ("\(folder)/whole.onnx", "\(folder)/parted.onnx")
      for signal in [SIGINT, SIGKILL] {
        let outcome = try swiftlet(
          arguments(parted) + (signal == SIGKILL ? ["--resume"] : []), signal: signal
        ) {
          try names(in: folder).contains("parted.checkpoint")
        }
        if signal == SIGINT { #expect(outcome.code == 130) }
        #expect(try !names(in: folder).contains("parted.onnx"))
        #expect(try names(in: folder).contains("parted.checkpoint"))
      }
      // Without --resume, hours of work would be lost.
      let again = try swiftlet(arguments(parted))
      expectFailure(again, 2, "parted.checkpoint", "--resume", "--force")
      for (model, extra) in [(whole, []), (parted, ["--resume"])] {
        #expect(try swiftlet(arguments(model) + extra).code == 0)
      }
      #expect(try InputFile.read(whole) == InputFile.read(parted))
    }
  }

  private func compressing(_ folder: String, to output: String, _ more: String...) -> [String] {
    [
      "compress", "\(folder)/m.onnx", "--technique", "svd,distill", "--epochs", "40", "--data",
      "idx:\(folder)", "-o", "\(folder)/\(output)",
    ] + more
  }

  /// Steps that an interrupted compression has kept.
  private func stages(of output: String, in folder: String) throws -> Int {
    let stages = "\(folder)/\(output).stages"
    guard FileManager.default.fileExists(atPath: stages) else { return 0 }
    return try names(in: stages).count { $0.hasSuffix(".onnx") }
  }

  /// Interrupting a compression keeps the steps that were finished, and writes no model; the same
  /// command again ends as if nothing had happened.
  @Test func interruptedCompressionGoesOn() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      let parted = compressing(folder, to: "parted.onnx", "--allocation", "ratio")
      let outcome = try swiftlet(parted) { try stages(of: "parted.onnx", in: folder) > 0 }
      #expect(outcome.code == 130 && outcome.errors.contains("repeat the command to resume"))
      #expect(try !names(in: folder).contains("parted.onnx"))
      #expect(try stages(of: "parted.onnx", in: folder) > 0)
      #expect(try swiftlet(parted).code == 0)
      #expect(
        try swiftlet(compressing(folder, to: "whole.onnx", "--allocation", "ratio")).code == 0)
      #expect(
        try InputFile.read("\(folder)/parted.onnx") == InputFile.read("\(folder)/whole.onnx"))
      #expect(try !names(in: folder).contains("parted.onnx.stages"))
    }
  }

  /// Interrupting a search leaves the best model that it has found.
  @Test func interruptedSearchLeavesTheBest() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      let outcome = try swiftlet(
        compressing(folder, to: "best.onnx", "--allocation", "ratio", "--max-drop", "100")
      ) {
        // Both steps of the first candidate, and one of the second.
        try stages(of: "best.onnx", in: folder) > 2
      }
      #expect(outcome.code == 0 && outcome.errors.contains("using the best so far"))
      #expect(try !ONNXFile.read("\(folder)/best.onnx").nodes.isEmpty)
    }
  }
}
