import Foundation
import SwiftletCore
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
      // The same file by another path; a report in the place of a model, of the output, of the manifest.
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
        NPY.serialized(AnyTensor(Tensor<Float>([2, 2], [1, 2, 3, 4]))), to: "\(folder)/u.npy")
      for more in [["-o", folder], ["--plot", "\(folder)/u.npy"]] {
        expectFailure(try swiftlet(["svd", "\(folder)/u.npy"] + more), 2, "u.npy")
      }
    }
  }
}
