// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// What commands write, beside what they read.
struct OutputFileTests {
  /// Whatever a command reads stays as it is, unless asked otherwise.
  @Test func inputsAreNotReplaced() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      let model = "\(folder)/m.onnx"
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: model)
      let before = try InputFile.read(model)
      func compress(_ output: String, _ more: String...) throws -> Outcome {
        try swiftlet(
          ["compress", model, "--technique", "svd", "--data", "idx:\(folder)", "-o", output] + more)
      }
      // The same file by another path; a report in the place of a model, of the output, of the
      // manifest.
      let refused: [(String, [String])] = [
        (model, []), ("\(folder)/../\(folder.split(separator: "/").last!)/m.onnx", []),
        ("\(folder)/n.onnx", ["--report", model]),
        ("\(folder)/n.onnx", ["--report", "\(folder)/n.onnx"]),
        ("\(folder)/n.onnx", ["--report", "\(folder)/n.manifest.json"]),
      ]
      for (output, more) in refused {
        let outcome = try swiftlet(
          ["compress", model, "--technique", "svd", "--data", "idx:\(folder)", "-o", output] + more)
        #expect(outcome.code == 2)
        #expect(try InputFile.read(model) == before)
      }
      expectFailure(try compress(model), 2, "m.onnx", "--force")
      expectFailure(
        try swiftlet("train", "--model", model, "--data", "idx:\(folder)", "-o", model), 2,
        "--force")
      expectFailure(
        try swiftlet("compare", model, "--data", "idx:\(folder)", "--report", model), 2, "--report")
      #expect(try names(in: folder).filter { $0.hasPrefix("n.") }.isEmpty)
      #expect(try InputFile.read(model) == before)
      #expect(try compress(model, "--force").code == 0)
      #expect(try InputFile.read(model) != before)
      try AtomicFile.write(
        NPY.encode(AnyTensor(Tensor<Float>([2, 2], [1, 2, 3, 4]))), to: "\(folder)/u.npy")
      for more in [["-o", folder], ["--plot", "\(folder)/u.npy"]] {
        expectFailure(try swiftlet(["svd", "\(folder)/u.npy"] + more), 2, "u.npy")
      }
    }
  }

  /// Data, what judges, students and links are read as well.
  @Test func dataAreNotReplaced() throws {
    try withTemporaryFolder { folder in
      try putPictures(folder)
      let model = "\(folder)/m.onnx"
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: model)
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/link.onnx", withDestinationPath: "m.onnx")
      let x = Tensor<Float>(zeros: [4, 3, 32, 32])
      for name in ["x.npz", "judge.npz"] {
        try ArrayFile.write(["input": .float32(x)], to: "\(folder)/\(name)")
      }
      let images = "\(folder)/train-images-idx3-ubyte"
      let labelled = ["--data", "idx:\(folder)"]
      let arrays = [
        "--data", "inputs:\(folder)/x.npz", "--judge", "inputs:\(folder)/judge.npz[50%]",
      ]
      let refused: [(read: String, [String])] = [
        (images, ["compress", model, "--technique", "svd", "-o", images] + labelled),
        (
          images,
          ["compress", model, "--technique", "svd", "-o", "\(folder)/n.onnx", "--report", images]
            + labelled
        ),
        (images, ["train", "-o", images] + labelled),
        (
          "\(folder)/x.npz",
          ["compress", model, "--technique", "svd", "-o", "\(folder)/x.npz"] + arrays
        ),
        (
          "\(folder)/judge.npz",
          ["compress", model, "--technique", "svd", "-o", "\(folder)/judge.npz"] + arrays
        ),
        (model, ["compress", "\(folder)/link.onnx", "--technique", "svd", "-o", model] + labelled),
        (
          model,
          [
            "compress", "\(folder)/link.onnx", "--technique", "distill", "--student", model, "-o",
            model,
          ] + labelled
        ),
        (model, ["convert", model, model]),
        (
          "\(folder)/x.npz",
          ["run", model, "--input", "\(folder)/x.npz", "--output", "\(folder)/x.npz"]
        ),
      ]
      for (read, arguments) in refused {
        let before = try InputFile.read(read)
        expectFailure(try swiftlet(arguments), 2, "would replace")
        #expect(try InputFile.read(read) == before)
      }
      #expect(try swiftlet("convert", model, model, "--fold", "--force").code == 0)
      // The link becomes a file of its own; the model that it named stays.
      let before = try InputFile.read(model)
      #expect(try swiftlet("convert", model, "\(folder)/link.onnx").code == 0)
      #expect(try InputFile.read(model) == before)
    }
  }

  @Test func choicesAreOnTheOneLine() throws {
    let outcome = try swiftlet("compress", "m.onnx", "--technique", "foo", "--data", "x", "-o", "y")
    expectFailure(outcome, 64, "foo", "svd")
    #expect(!outcome.errors.contains("?"))
  }

  @Test func extentsOfNamedAxesHaveTwoNames() throws {
    try withTemporaryFolder { folder in
      let model = "\(folder)/m.onnx"
      try ONNXFile.write(SeedCNN.make(classes: 4, seed: 0), to: model)
      let json = try swiftlet("inspect", model, "--json", "--extent", "input[0]=3").json()
      #expect(json["macs"] as? Int != nil)
      expectFailure(
        try swiftlet("inspect", model, "--extent", "input[1]=3"), 2, "input[1]", "use one of")
    }
  }
}
