// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletTraining
import Testing
import _SwiftletTestSupport

struct CompressTests {
  /// A folder with a model and images for it.
  private func withModel(_ body: (_ folder: String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try ONNXFile.write(SeedCNN.make(classes: 4, width: 0.25, seed: 1), to: "\(folder)/m.onnx")
      for (part, count) in [("train", 16), ("t10k", 8)] {
        let (images, labels) = Pictures.make(count: count, classes: 4)
        try IDX.write(
          images.reshaped(to: [count, 12, 12]), to: "\(folder)/\(part)-images-idx3-ubyte")
        try IDX.write(
          Tensor([count], labels.map { UInt8($0) }), to: "\(folder)/\(part)-labels-idx1-ubyte")
      }
      try body(folder)
    }
  }

  private final class Calls { var count = 0, limit = Int.max }

  private func compress(
    _ folder: String, recipe: String = "steps: [{technique: svd, ratio: 0.5}]", _ calls: Calls,
    _ report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = nil
  ) -> swiftlet_status {
    let context = Unmanaged.passUnretained(calls).toOpaque()
    return swiftlet_compress(
      "\(folder)/m.onnx", recipe, "idx:\(folder)", nil,
      { task, _, _, _, context in
        let calls = Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue()
        calls.count += 1
        return task != nil && calls.count < calls.limit ? 0 : 1
      }, context, "\(folder)/out.onnx", report)
  }

  @Test func aModelIsCompressed() throws {
    try withModel { folder in
      let calls = Calls()
      var report: UnsafeMutablePointer<CChar>?
      expectOK(compress(folder, calls, &report))
      let text = String(cString: report!)
      swiftlet_string_free(report)
      #expect(text.contains("\"techniques\":[\"svd\"]"), "\(text)")
      #expect(calls.count > 0)
      _ = try ONNXFile.read("\(folder)/out.onnx")
    }
  }

  @Test(arguments: [1, 2]) func stoppedWorkLeavesTheOutputAlone(calls limit: Int) throws {
    try withModel { folder in
      try AtomicFile.write("before", to: "\(folder)/out.onnx")
      let calls = Calls()
      calls.limit = limit
      expect(compress(folder, calls), SWIFTLET_CANCELLED, "cancelled")
      #expect(try InputFile.read("\(folder)/out.onnx") == Array("before".utf8))
      expect(compress(folder, recipe: "steps: 3", calls), SWIFTLET_BAD_INPUT, "recipe")
      expect(
        compress(folder, recipe: "steps: [{technique: magic}]", calls), SWIFTLET_BAD_INPUT,
        "magic")
      expect(
        swiftlet_compress(nil, nil, nil, nil, nil, nil, nil, nil), SWIFTLET_USAGE,
        "model is NULL")
      #expect(try InputFile.read("\(folder)/out.onnx") == Array("before".utf8))
    }
  }
}
