// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

/// Arrays for inputs, and slices of their samples.
struct InputArrayTests {
  private func read(_ slices: String) throws -> [String: AnyTensor] {
    try withTemporaryFolder { folder in
      let x = Tensor<Float>([10, 2], (0..<20).map { Float($0) })
      let ids = Tensor<Int64>([10], (0..<10).map { Int64($0) })
      try AtomicFile.write(
        NPZ.encode(["x": .float32(x), "ids": .int64(ids), "rate": .float32(Tensor([1], [8]))]),
        to: "\(folder)/a.npz")
      return try InputArrays.read("inputs:\(folder)/a.npz\(slices)")
    }
  }

  @Test(arguments: [
    ("", 0..<10), ("[0..<4]", 0..<4), ("[50%]", 0..<5), ("[20%..<80%]", 2..<8),
    ("[2..<9][1..<3]", 3..<5),
  ])
  func slicesAreOfTheSamples(text: String, range: Range<Int>) throws {
    let arrays = try read(text)
    #expect(arrays["x"]?.shape == [range.count, 2])
    let ids: Tensor<Int64>? = arrays["ids"]?.typed()
    #expect(ids?.elements == range.map { Int64($0) })
    #expect(arrays["rate"]?.shape == [1])
  }

  @Test(arguments: ["[3]", "[5..<20]", "[a..<b]", "[4..<4]"])
  func slicesThatDoNotFitAreRefused(text: String) {
    let error = #expect(throws: SwiftletError.self) { try read(text) }
    #expect(error?.code == .badInput)
    #expect(error?.what.contains("slice") == true)
  }
}
