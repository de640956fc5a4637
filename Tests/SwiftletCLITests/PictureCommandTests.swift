// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Folders and lists of pictures: with labels and without, whole and damaged.
struct PictureCommandTests {
  /// A classifier for pictures of 8×8.
  private func network(channels: Int = 3, classes: Int = 2) -> Graph {
    var generator = RandomGenerator(seed: 5)
    let batch = Dimension.symbolic("N")
    var graph = Graph(name: "small")
    graph.inputs = [ValueInfo("x", .float32, [batch, .fixed(channels), .fixed(8), .fixed(8)])]
    graph.outputs = [ValueInfo("y", .float32, [batch, .fixed(classes)])]
    graph.initializers = [
      "v": .float32(Tensor([channels * 64, 24], uniformIn: -0.1...0.1, using: &generator)),
      "w": .float32(Tensor([24, classes], uniformIn: -0.3...0.3, using: &generator)),
    ]
    graph.nodes = [
      Node("Flatten", name: "flat", inputs: ["x"], outputs: ["f"]),
      Node("MatMul", name: "first", inputs: ["f", "v"], outputs: ["g"]),
      Node("Relu", name: "relu", inputs: ["g"], outputs: ["h"]),
      Node("MatMul", name: "second", inputs: ["h", "w"], outputs: ["y"]),
    ]
    return graph
  }

  /// A picture whose colour and size follow from a number.
  private func picture(_ number: Int) -> [UInt8] {
    let colour = (UInt8(number * 37 % 256), UInt8(number * 91 % 256), UInt8(number * 53 % 256))
    return bmp(width: 6 + number % 5, height: 7 + number % 3, colour)
  }

  /// The model, and pictures by path.
  private func put(_ folder: String, _ paths: [String]) throws -> String {
    try ONNXFile.write(network(), to: "\(folder)/m.onnx")
    for (number, path) in paths.enumerated() { try put(picture(number), folder, path) }
    return "\(folder)/m.onnx"
  }

  private func put(_ bytes: [UInt8], _ folder: String, _ path: String) throws {
    try _SwiftletTestSupport.put(bytes, folder, path)
  }

  private func compress(_ folder: String, _ data: String, _ options: String...) throws -> Outcome {
    try swiftlet(
      [
        "compress", "\(folder)/m.onnx", "--technique", "quantize", "--data", data, "-o",
        "\(folder)/o.onnx", "--json",
      ] + options)
  }

  private func expectVerified(_ folder: String, _ remark: String) throws {
    let verify = try swiftlet("verify", "\(folder)/o.manifest.json", "--rerun")
    #expect(verify.code == 0, "\(verify.output) \(verify.errors)")
    #expect(verify.output.contains("same bytes") && verify.output.contains(remark))
  }

  @Test func flatFoldersNeedNoLabels() throws {
    try withTemporaryFolder { folder in
      let model = try put(folder, (0..<12).map { "flat ü/\($0).bmp" })
      let data = "images:\(folder)/flat ü"
      let outcome = try compress(folder, data, "--no-timing")
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.errors.contains("guessed preprocessing"))
      let report = try outcome.json()
      #expect(report["samples"] as? Int == 9 && report["damaged"] == nil)
      #expect((report["agreement"] as? [String: Any])?["samples"] as? Int == 3)
      try expectVerified(folder, "12 samples")
      // Other scaling is kept in the file, and counts when the model is verified.
      let raw = try compress(folder, "\(data)[0..<8]", "--preprocess", "raw", "--no-timing")
      #expect(raw.code == 0 && !raw.errors.contains("guessed"), "\(raw.errors)")
      try expectVerified(folder, "8 samples")
      let judged = try compress(
        folder, "\(data)[50%]", "--judge", "\(data)[50%..<100%]", "--no-timing")
      #expect((try judged.json()["agreement"] as? [String: Any])?["samples"] as? Int == 6)
      try expectVerified(folder, "6 samples")
      expectFailure(
        try compress(folder, data, "--judge", "\(data)[3..<5]"), 2, "2 of the 2 samples")
      expectFailure(
        try compress(folder, data, "--judge", "images:\(folder)"), 2, "judge on have", ":unlabelled"
      )
      let sensitivity = try swiftlet("sensitivity", model, "--data", data, "--json")
      #expect(try sensitivity.json()["calibrationSamples"] as? Int == 9, "\(sensitivity.errors)")
      expectFailure(try swiftlet("evaluate", model, "--data", data), 2, "have no labels")
      expectFailure(
        try swiftlet("train", "--data", data, "-o", "\(folder)/t.onnx"), 2, "no labels")
      expectFailure(
        try swiftlet(
          "compress", model, "--technique", "quantize", "--mode", "dynamic", "-o",
          "\(folder)/o.onnx", "--preprocess", "raw"), 64, "--preprocess need")
    }
  }

  @Test func partsOfFlatFoldersAreJudgedOn() throws {
    try withTemporaryFolder { folder in
      _ = try put(folder, (0..<8).map { "\($0 < 6 ? "train" : "val")/\($0).bmp" })
      let outcome = try compress(folder, "images:\(folder)", "--no-timing")
      let report = try outcome.json()
      #expect(report["samples"] as? Int == 6, "\(outcome.errors)")
      #expect((report["agreement"] as? [String: Any])?["samples"] as? Int == 2)
      try expectVerified(folder, "6 samples")
    }
  }

  @Test func foldersAreSaidToBeClasses() throws {
    try withTemporaryFolder { folder in
      let model = try put(folder, (0..<12).map { "photos/20\(19 + $0 % 2)/\($0).bmp" })
      let data = "images:\(folder)/photos"
      let evaluated = try swiftlet("evaluate", model, "--data", data)
      #expect(evaluated.code == 0, "\(evaluated.errors)")
      #expect(evaluated.errors.contains("2 classes in \(data): 2019, 2020"))
      let compressed = try compress(folder, data)
      #expect(compressed.errors.contains("2 classes in \(data): 2019, 2020"))
      let unlabelled = try compress(folder, "\(data):unlabelled", "--no-timing")
      #expect(try unlabelled.json()["samples"] as? Int == 9, "\(unlabelled.errors)")
      #expect(!unlabelled.errors.contains("classes in"))
      try expectVerified(folder, "12 samples")
      let one = try swiftlet("evaluate", model, "--data", "images:\(folder)/photos[0..<1]")
      #expect(one.code == 0 && !one.errors.contains("same class"), "\(one.errors)")
      try FileManager.default.removeItem(atPath: "\(folder)/photos/2020")
      let same = try swiftlet("evaluate", model, "--data", data)
      #expect(same.code == 0 && same.errors.contains("have the same class"), "\(same.errors)")
      try put(picture(1), folder, "photos/loose.bmp")
      expectFailure(
        try swiftlet("evaluate", model, "--data", data), 2, "loose.bmp beside 2019")
    }
  }

  @Test func damagedPicturesAreSkipped() throws {
    try withTemporaryFolder { folder in
      let model = try put(folder, (0..<24).map { "p/\($0 % 2)/\($0).bmp" })
      let data = "images:\(folder)/p"
      try put(picture(1).dropLast(20), folder, "p/0/damaged.bmp")
      expectFailure(
        try swiftlet("evaluate", model, "--data", data), 2, "\(folder)/p/0/damaged.bmp",
        "--skip-damaged")
      expectFailure(try compress(folder, data), 2, "p/0/damaged.bmp", "--skip-damaged")
      expectFailure(
        try compress(folder, "\(data):unlabelled"), 2, "p/0/damaged.bmp", "--skip-damaged")
      for i in 0..<4 { try put([], folder, "p/1/empty \(i).jpg") }
      let evaluated = try swiftlet("evaluate", model, "--data", data, "--skip-damaged", "--json")
      #expect(try evaluated.json()["damaged"] as? Int == 5, "\(evaluated.errors)")
      #expect(try evaluated.json()["images"] as? Int == 24)
      #expect(evaluated.errors.contains("left out 5 of the 29 pictures"))
      let named = evaluated.errors.split(separator: "\n").filter {
        $0.hasPrefix("swiftlet: warning: left out \(folder)/p/")
      }
      #expect(named.count == 3, "\(evaluated.errors)")

      for data in [data, "\(data):unlabelled", "\(data)[50%]"] {
        let outcome = try compress(folder, data, "--skip-damaged")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let count = try #require(try outcome.json()["damaged"] as? Int)
        try expectVerified(folder, "\(count) left out, recorded \(count)")
      }
      let judged = try compress(
        folder, "\(data)[50%]", "--judge", "\(data)[50%..<100%]", "--skip-damaged")
      #expect(try judged.json()["damaged"] as? Int == 5, "\(judged.errors)")
      try put(picture(7), folder, "p/1/empty 0.jpg")
      let verify = try swiftlet("verify", "\(folder)/o.manifest.json")
      #expect(verify.code == 2 && verify.output.contains("FAILED  damaged pictures: 4 left out"))

      let compared = try swiftlet(
        "compare", model, "\(folder)/o.onnx", "--data", data, "--skip-damaged", "--json",
        "--seconds", "0.01")
      #expect(try compared.json()["damaged"] as? Int == 4, "\(compared.errors)")
      let trained = try swiftlet(
        "train", "--model", model, "--data", data, "--skip-damaged", "--epochs", "1", "--json",
        "-o", "\(folder)/t.onnx")
      #expect(try trained.json()["damaged"] as? Int == 4, "\(trained.errors)")
      let sensitivity = try swiftlet(
        "sensitivity", model, "--data", data, "--skip-damaged", "--json")
      #expect(try sensitivity.json()["damaged"] as? Int == 4, "\(sensitivity.errors)")
      expectFailure(try swiftlet("compare", "m", "--skip-damaged"), 64, "--skip-damaged need")
    }
  }

  @Test func faultsOfDataAreSentences() throws {
    try withTemporaryFolder { folder in
      let model = try put(folder, (0..<6).map { "p/c\($0 % 3)/\($0).bmp" })
      let data = "images:\(folder)/p"
      expectFailure(try swiftlet("evaluate", model, "--data", data), 2, "6 images of 3 classes")
      try ONNXFile.write(network(channels: 4), to: model)
      expectFailure(try swiftlet("evaluate", model, "--data", data), 3, "4 channels")
      // Grey models take colours, as grey.
      try ONNXFile.write(network(channels: 1, classes: 3), to: model)
      let grey = try swiftlet("evaluate", model, "--data", data, "--json")
      #expect(try grey.json()["images"] as? Int == 6, "\(grey.errors)")
      try FileManager.default.createDirectory(
        atPath: "\(folder)/p/empty", withIntermediateDirectories: false)
      expectFailure(
        try swiftlet("evaluate", model, "--data", data), 2, "no pictures of class 'empty'")
    }
  }

  /// Quotes, CRLF, a byte order mark, and names with line breaks, commas and letters of all kinds.
  @Test func listsAreReadFromAnywhere() throws {
    try withTemporaryFolder { folder in
      let names = ["a b.bmp", "c, d.bmp", "ünï\ncode.bmp", "say \"x\".bmp"]
      let model = try put(folder, names.map { "pictures/\($0)" })
      let text =
        "\u{FEFF}path,label\r\npictures/a b.bmp,cat\r\n\"pictures/c, d.bmp\",\"dog\"\r\n"
        + "\"pictures/ünï\ncode.bmp\",cat\r\n\"pictures/say \"\"x\"\".bmp\",dog\r\n"
      try put(Array(text.utf8), folder, "l.csv")
      let data = "list:\(folder)/l.csv"
      let good = try swiftlet("evaluate", model, "--data", data, "--json")
      #expect(try good.json()["images"] as? Int == 4, "\(good.errors)")
      #expect(good.errors.contains("2 classes in \(data): cat, dog"))
      try put(Array((text + "pictures/none.bmp,cat\r\n").utf8), folder, "l.csv")
      // A line break in quotes counts as a line.
      expectFailure(
        try swiftlet("evaluate", model, "--data", data), 2, "line 7 does not exist", "none.bmp")
      let skipped = try swiftlet("evaluate", model, "--data", data, "--skip-damaged", "--json")
      #expect(try skipped.json()["damaged"] as? Int == 1, "\(skipped.errors)")
      try put([1, 2, 3], folder, "pictures/ünï\ncode.bmp")
      let damaged = try swiftlet("evaluate", model, "--data", "\(data)[0..<4]")
      expectFailure(damaged, 2)
      try put(Array("pictures/a b.bmp,2\n".utf8), folder, "l.csv")
      expectFailure(try swiftlet("evaluate", model, "--data", data), 2, "1 images of 3 classes")
    }
  }
}
