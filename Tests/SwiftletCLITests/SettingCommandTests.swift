// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// What the command says to settings that do nothing, and to values that make no sense.
@Suite(.serialized) struct SettingCommandTests {
  private static let refused: [(arguments: [String], code: Int32, fragments: [String])] = [
    (["--technique", "quantize", "--ratio", "0.5"], 2, ["no setting '--ratio'", "svd, lowrank"]),
    (
      ["--technique", "lowrank", "--epochs", "2"], 2,
      ["lowrank has no setting '--epochs' (it belongs to distill)"]
    ),
    (
      ["--technique", "svd", "--bits", "4"], 2,
      ["svd has no setting '--bits' (it belongs to quantize)"]
    ),
    (
      ["--technique", "quantize", "--keep", "fc1", "--int4", "fc1"], 2,
      ["'fc1' is listed in both '--keep' and '--int4'"]
    ),
    (
      ["--technique", "quantize", "--calibration-size", "0"], 2,
      ["--calibration-images 0 is not between 1 and"]
    ),
    (["--technique", "distill", "--lr", "0"], 2, ["--learning-rate 0 is not between 1e-"]),
    (
      ["--technique", "distill", "--learning-rate", "-1"], 2,
      ["--learning-rate -1 is not between 1e-"]
    ),
    (
      ["--technique", "svd,lowrank", "--warmup", "2"], 2,
      ["none of svd, lowrank has the setting '--warmup' (it belongs to distill)"]
    ),
    (["--technique", "quantize", "--bit", "4"], 64, ["'--bit'", "'--bits'"]),
    (["--technique", "svd", "--no-data-awar"], 64, ["'--no-data-aware'"]),
    (
      ["--technique", "quantize", "--group-size", "3"], 2,
      ["'--group-size' does nothing in static quantization"]
    ),
    (
      ["--technique", "lowrank", "--allocation", "ratio", "--cost", "macs"], 2,
      ["'--cost' does nothing with --allocation ratio"]
    ),
    (["--technique", "lowrank", "--methods", "tuker"], 64, ["did you mean 'tucker'?"]),
    (["--technique", "svd", "--ratoi", "0.5"], 64, ["'--ratio'"]),
    (["--technique", "sdv"], 64, ["did you mean 'svd'?"]),
    (
      ["--technique", "quantize", "--mixed-drop", "1", "--mixed-confidence", "100%"], 2,
      ["--mixed-confidence 1 is not between 0.5 and below 1"]
    ),
    (
      ["--technique", "quantize", "--mixed-drop", "1", "--mixed-confidence", "0.9"]
        + ["--confidence", "95%"], 64, ["give either --confidence or --mixed-confidence"]
    ),
    (["--technique", "quantize", "--max-drop", "1", "--confidence", "1.5"], 64, ["from 0.5"]),
    (["--technique", "quantize", "--bits", "x"], 64, ["'--bits' is 'x', not a whole number"]),
    (["--technique", "quantize", "--observer", "best"], 64, ["'best', not one of minmax, perc"]),
    (
      ["--technique", "eigen", "--precisions", "fp32,fp16"], 64, ["some of fp32, bf16, int8, int4"]
    ),
    (
      ["--technique", "quantize", "--weight-only", "--dynamic"], 64, ["--weight-only or --dynamic"]
    ),
    (["--technique", "quantize", "--plain"], 2, ["'--data-aware'"]),
    (["--technique", "svd,magic"], 64, ["unknown technique 'magic'; use one of svd, lowrank"]),
    (["--technique", "quantise"], 64, ["did you mean 'quantize'?"]),
    (["--technique", "distill", "--crop", "500"], 2, ["crop 500", "32 pixels"]),
    (
      ["--technique", "distill", "--labels", "999999"], 2,
      ["labels 999999 exceeds the 160 training images"]
    ),
    (["--preset", "fast", "--bits", "4"], 64, ["settings cannot be options", "--bits"]),
  ]

  @Test func settingsWithoutEffectAreRefused() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      for (arguments, code, fragments) in Self.refused {
        let outcome = try swiftlet(
          ["compress", "\(folder)/m.onnx", "--data", "idx:\(folder)", "-o", "\(folder)/s.onnx"]
            + arguments)
        expectFailure(outcome, code)
        for fragment in fragments {
          #expect(outcome.errors.contains(fragment), "\(outcome.errors)")
        }
      }
      #expect(try !names(in: folder).contains("s.onnx"))
    }
  }

  /// Methods beside svd are for the technique that reads them; alone with svd they do nothing.
  @Test func methodsAreForTheTechniqueThatReadsThem() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      func compress(_ technique: String) throws -> Outcome {
        try swiftlet(
          "compress", "\(folder)/m.onnx", "--data", "idx:\(folder)", "-o", "\(folder)/s.onnx",
          "--methods", "spatial", "--allocation", "ratio", "--ratio", "0.3", "--json",
          "--technique", technique)
      }
      expectFailure(try compress("svd,quantize"), 2, "--methods does nothing in svd")
      let both = try compress("svd,lowrank")
      #expect(both.code == 0, "\(both.errors)")
      let layers = try #require(try both.json()["layers"] as? [[String: Any]])
      func isSpatial(_ layer: [String: Any]) -> Bool {
        (layer["remark"] as? String)?.hasPrefix("spatial") == true
      }
      #expect(Set(layers.compactMap { $0["technique"] as? String }) == ["svd", "lowrank"])
      #expect(layers.contains(where: isSpatial), "\(layers)")
    }
  }

  private static let training: [(arguments: [String], code: Int32, fragment: String)] = [
    (["--lr", "0"], 64, "--learning-rate 0 is not between 1e-09 and 1000000"),
    (["--learning-rate", "-1"], 64, "--learning-rate -1 is not between"),
    (["--epochs", "-3"], 64, "--epochs -3 is not between"),
    (["--crop", "500"], 2, "crop 500 moves images of 32 pixels out of view"),
    (["--momentum", "0.5"], 64, "--momentum does nothing with adam"),
    (["--period", "1", "--schedule", "constant"], 64, "--period does nothing"),
    (["--restarts", "1", "--schedule", "constant"], 64, "--period does nothing"),
    (["--stretch", "2"], 64, "--stretch does nothing"),
    (["--warmup", "9"], 64, "--warmup 9 exceeds --epochs 3"),
    (["--lr", "1000", "--optimizer", "sgd", "--batch", "20"], 2, "training diverged"),
  ]

  @Test func trainingSaysWhatMakesNoSense() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      for (arguments, code, fragment) in Self.training {
        let outcome = try swiftlet(
          ["train", "--data", "idx:\(folder)", "-o", "\(folder)/s.onnx"] + arguments)
        expectFailure(outcome, code)
        #expect(outcome.errors.contains(fragment), "\(outcome.errors)")
      }
    }
  }

  @Test func missingArraysAreListed() throws {
    try withTemporaryFolder { folder in
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      let array = AnyTensor.float32(Tensor([3, 3, 32, 32], repeating: 0))
      try AtomicFile.write(NPZ.encode(["pixels": array, "age": array]), to: "\(folder)/a.npz")
      let outcome = try swiftlet(
        "compress", "\(folder)/m.onnx", "--technique", "quantize", "--data",
        "inputs:\(folder)/a.npz[0..<2]", "-o", "\(folder)/s.onnx")
      expectFailure(outcome, 2, "there is no array 'input'", "there are age, pixels")
    }
  }

  /// Stopped within distillation, and continued by the same command.
  @Test func distillationGoesOnWhereItWasInterrupted() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: "\(folder)/m.onnx")
      let arguments = [
        "compress", "\(folder)/m.onnx", "--technique", "distill", "--epochs", "6", "--batch", "20",
        "--data", "idx:\(folder)", "--threads", "1", "-o", "\(folder)/s.onnx",
      ]
      let stages = "\(folder)/s.onnx.stages"
      let first = try swiftlet(arguments) {
        guard FileManager.default.fileExists(atPath: stages) else { return false }
        return try names(in: stages).contains { $0.hasSuffix(".checkpoint") }
      }
      expectFailure(first, 130, "interrupted", "repeat the command to resume")
      #expect(try names(in: stages).contains { $0.hasSuffix(".checkpoint") })
      let second = try swiftlet(arguments)
      #expect(second.code == 0, "\(second.errors)")
      #expect(second.errors.contains("resuming"))
      #expect(try !names(in: folder).contains("s.onnx.stages"))
    }
  }

  @Test func fixedBatchesAndOpenExtentsAreTaken() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      var graph = SeedCNN.make(classes: 4, seed: 0)
      graph.inputs[0].dimensions[0] = .fixed(1)
      graph.outputs[0].dimensions[0] = .fixed(1)
      try ONNXFile.write(graph, to: "\(folder)/one.onnx")
      let data = "idx:\(folder):test[0..<10]"
      for command in [
        ["evaluate", "\(folder)/one.onnx"],
        ["compare", "\(folder)/one.onnx", "\(folder)/one.onnx", "--seconds", "0.01"],
      ] {
        let outcome = try swiftlet(command + ["--data", data, "--json"])
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(try outcome.json()["images"] as? Int == 10)
      }
      let wrong = try swiftlet(
        "evaluate", "\(folder)/one.onnx", "--data", data, "--extent", "H=12")
      expectFailure(wrong, 2, "no input has an open extent 'H'")
    }
  }
}
