// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Commands on arrays: `npz:`, `npy:` and `inputs:`, of files and folders.
struct ArrayDataCommandTests {
  /// Points in four dimensions whose class is their largest coordinate, which the model answers.
  private func prepare(_ folder: String) throws -> (model: String, x: Tensor<Float>, y: [Int64]) {
    var generator = RandomGenerator(seed: 6)
    let count = 40
    let x = Tensor<Float>([count, 4], normalUsing: &generator)
    let y = largestCoordinates(x)
    let model = "\(folder)/m.onnx"
    try ONNXFile.write(largestCoordinateModel(), to: model)
    return (model, x, y)
  }

  private func rows(_ x: Tensor<Float>, _ range: Range<Int>) -> AnyTensor {
    let part = x.elements[range.lowerBound * 4..<range.upperBound * 4]
    return .float32(Tensor([range.count, 4], Array(part)))
  }

  private func labels(_ y: [Int64]) -> AnyTensor { .int64(Tensor([y.count], y)) }

  @Test func everyFormGivesTheSameAccuracy() throws {
    try withTemporaryFolder { folder in
      let (model, x, y) = try prepare(folder)
      // One of the labels is wrong.
      let labels = labels([(y[0] + 1) % 4] + y[1...])
      let arrays: OrderedDictionary<String, AnyTensor> = ["x": .float32(x), "y": labels]
      try NPZ.write(arrays, to: "\(folder)/a.npz")
      try ArrayFile.write(arrays, to: "\(folder)/a.safetensors")
      try ArrayFile.write(["x": .float32(x)], to: "\(folder)/x, all.npy")
      try ArrayFile.write(["y": labels], to: "\(folder)/y.npy")
      let all: Tensor<Int64> = try labels.require()
      for (index, range) in [0..<10, 10..<11, 11..<40].enumerated() {
        let own = AnyTensor.int64(Tensor([range.count], Array(all.elements[range])))
        try put(
          NPZ.encode(["x": rows(x, range), "y": own]), folder, "shards/\(index).npz")
      }
      for data in [
        "npz:\(folder)/a.npz", "npz:\(folder)/a.safetensors", "npz:\(folder)/shards",
        "npy:\(folder)/x, all.npy,\(folder)/y.npy",
      ] {
        let outcome = try swiftlet("evaluate", model, "--data", data, "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(try outcome.json()["top1"] as? Double == 39.0 / 40)
        #expect(try outcome.json()["images"] as? Int == 40)
        let part = try swiftlet("evaluate", model, "--data", "\(data)[50%..<100%]", "--json")
        #expect(try part.json()["top1"] as? Double == 1)
      }
    }
  }

  /// What is made of arrays can be checked wherever the folder is moved.
  @Test func compressionsAreVerifiedAnywhere() throws {
    try withTemporaryFolder { folder in
      let (_, x, y) = try prepare(folder)
      try ArrayFile.write(["x": .float32(x)], to: "\(folder)/x.npy")
      try ArrayFile.write(["y": labels(y)], to: "\(folder)/y.npy")
      let outcome = try swiftlet(
        "compress", "\(folder)/m.onnx", "--technique", "svd", "--ratio", "0.5", "--data",
        "npy:\(folder)/x.npy,\(folder)/y.npy", "-o", "\(folder)/o.onnx")
      #expect(outcome.code == 0, "\(outcome.errors)")
      try withTemporaryFolder { other in
        let moved = "\(other)/moved"
        try FileManager.default.copyItem(atPath: folder, toPath: moved)
        for name in ["x.npy", "y.npy"] {
          try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
        let verify = try swiftlet("verify", "\(moved)/o.manifest.json")
        #expect(verify.code == 0, "\(verify.output) \(verify.errors)")
        #expect(verify.output.contains("ok  training data"))
        let others = y.map { ($0 + 1) % 4 }
        try ArrayFile.write(["y": labels(others)], to: "\(moved)/y.npy")
        let changed = try swiftlet("verify", "\(moved)/o.manifest.json")
        #expect(changed.code == 2 && changed.output.contains("FAILED  training data"))
      }
    }
  }

  @Test func samplesThatServeBothPurposesAreRefused() throws {
    try withTemporaryFolder { folder in
      let (model, x, y) = try prepare(folder)
      try NPZ.write(["x": .float32(x), "y": labels(y)], to: "\(folder)/a.npz")
      try ArrayFile.write(["x": .float32(x)], to: "\(folder)/x.npy")
      try ArrayFile.write(["y": labels(y)], to: "\(folder)/y.npy")
      let command = [
        "compress", model, "--technique", "quantize", "-o", "\(folder)/o.onnx", "--data",
        "npz:\(folder)/a.npz[0..<20]", "--judge",
      ]
      expectFailure(
        try swiftlet(command + ["npz:\(folder)/a.npz[15..<40]"]), 2, "5 of the 25 evaluation")
      // In whatever file they are.
      expectFailure(
        try swiftlet(command + ["npy:\(folder)/x.npy,\(folder)/y.npy[10..<40]"]), 2,
        "10 of the 30 evaluation")
      let good = try swiftlet(command + ["npz:\(folder)/a.npz[20..<40]"])
      #expect(good.code == 0, "\(good.errors)")
    }
  }

  @Test func filesOfDataAreNotReplaced() throws {
    try withTemporaryFolder { folder in
      let (model, x, y) = try prepare(folder)
      try ArrayFile.write(["x": .float32(x)], to: "\(folder)/x.npy")
      try ArrayFile.write(["y": labels(y)], to: "\(folder)/y.npy")
      let whole = try InputFile.read("\(folder)/y.npy")
      let outcome = try swiftlet(
        "compress", model, "--technique", "quantize", "--data",
        "npy:\(folder)/x.npy,\(folder)/y.npy", "-o", "\(folder)/y.npy")
      expectFailure(outcome, 2, "would replace a file of --data")
      #expect(try InputFile.read("\(folder)/y.npy") == whole)
    }
  }

  /// Folders of compressed files, without labels.
  @Test func samplesWithoutLabelsMayBeInAFolder() throws {
    try withTemporaryFolder { folder in
      let (model, x, _) = try prepare(folder)
      for (index, range) in [0..<12, 12..<40].enumerated() {
        try put(NPZ.encode(["points": rows(x, range)]), folder, "parts/\(index).npz")
      }
      try NPZ.write(["points": .float32(x)], to: "\(folder)/whole.npz")
      let results = try ["parts", "whole.npz"].map { name in
        let outcome = try swiftlet(
          "compress", model, "--technique", "quantize", "--data", "inputs:\(folder)/\(name)", "-o",
          "\(folder)/\(name).onnx", "--no-timing", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        return try InputFile.read("\(folder)/\(name).onnx")
      }
      #expect(results[0] == results[1])
      try put([1, 2, 3], folder, "parts/1.npz")
      expectFailure(
        try swiftlet(
          "compress", model, "--technique", "quantize", "--data", "inputs:\(folder)/parts", "-o",
          "\(folder)/o.onnx"), 2, "parts/1.npz", "not a zip file")
    }
  }

  @Test func mistakesAreOneLine() throws {
    try withTemporaryFolder { folder in
      let (model, x, y) = try prepare(folder)
      let all = AnyTensor.float32(x)
      let cases: [(OrderedDictionary<String, AnyTensor>, Int32, String)] = [
        (["x": all, "y": labels(Array(y[1...]))], 2, "array 'y' is 39 for 40 samples"),
        (["x": all, "y": labels(y.map { $0 - 1 })], 2, "is -1"),
        (["x": all, "y": labels(y.map { $0 + 9 })], 2, "scores per image"),
        (["x": all, "y": .float32(Tensor([40], repeating: 1))], 2, "astype('int64')"),
        (["x": all], 2, "no labels"), (["y": labels(y)], 2, "no samples"),
        (["x": .float32(Tensor(zeros: [40, 5])), "y": labels(y)], 2, "points"),
        (["x": .float64(Tensor([40, 4], repeating: 1e300)), "y": labels(y)], 2, "float64"),
      ]
      for (arrays, code, fragment) in cases {
        try NPZ.write(arrays, to: "\(folder)/a.npz")
        expectFailure(
          try swiftlet("evaluate", model, "--data", "npz:\(folder)/a.npz"), code, fragment)
      }
      expectFailure(
        try swiftlet("evaluate", model, "--data", "npz:\(folder)/none.npz"), 2, "No such file")
      expectFailure(
        try swiftlet("evaluate", model, "--data", "npy:\(folder)/a.npz"), 2, "npz:")
      expectFailure(
        try swiftlet(
          "evaluate", model, "--data", "npz:\(folder)/a.npz", "--preprocess", "half"), 3,
        "leave --preprocess out")
    }
  }
}
