// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

/// Folders of files that each hold some of the samples.
struct ArrayShardTests {
  private func x(_ rows: Range<Int>) -> AnyTensor {
    .float32(Tensor([rows.count, 2], rows.flatMap { [Float($0), Float($0) + 0.5] }))
  }

  private func ids(_ rows: Range<Int>) -> AnyTensor {
    .int64(Tensor([rows.count], rows.map { Int64($0) }))
  }

  private let size = AnyTensor.int64(Tensor([2], [224, 224]))

  @Test func rowsCrossFiles() throws {
    try withTemporaryFolder { folder in
      let ranges = [0..<5, 5..<5, 5..<6, 6..<9]
      for (index, range) in ranges.enumerated() {
        let arrays: OrderedDictionary = ["x": x(range), "size": size, "ids": ids(range)]
        let ending = index == 2 ? "safetensors" : "npz"
        try ArrayFile.write(arrays, to: "\(folder)/part-\(index).\(ending)")
      }
      let last = [("x", x(9..<12)), ("ids", ids(9..<12)), ("size", size)]
      try put(deflatedNPZ(last), folder, "z.npz")
      try put([1], folder, "README")
      let joined = try ArrayFile.open(folder)
      #expect(Set(joined.keys) == ["x", "size", "ids"])
      #expect(try joined["size"]?.whole() == size)
      let all = try #require(joined["x"])
      #expect(all.shape == [12, 2])
      #expect(try all.whole() == x(0..<12))
      for start in 0..<12 {
        for end in start...12 { #expect(try all.rows(start..<end) == x(start..<end)) }
      }
      let order = [11, 4, 5, 6, 7, 0, 1, 8]
      #expect(try joined["ids"]?.rows(order) == .int64(Tensor([8], order.map { Int64($0) })))
      #expect(try joined["ids"]?.subset(order).slice(1..<4).whole() == ids(4..<7))
    }
  }

  /// More files than stay open.
  @Test func thousandsOfFilesAreRead() throws {
    try withTemporaryFolder { folder in
      for index in 0..<1100 {
        let name = String("\(10_000 + index)".dropFirst())
        try putQuickly(
          NPZ.encode(["x": .uint8(Tensor([2], [UInt8(index % 256), 7]))]), "\(folder)/\(name).npz")
      }
      let x = try #require(try ArrayFile.open(folder)["x"])
      #expect(x.count == 2200)
      let rows = (0..<1100).reversed().map { $0 * 2 }
      #expect(
        try x.rows(rows) == .uint8(Tensor([1100], rows.map { UInt8($0 / 2 % 256) })))
    }
  }

  @Test func filesThatDoNotFitAreNamed() throws {
    try withTemporaryFolder { folder in
      expectError(.badInput, folder, "no .npz or .safetensors") {
        try ArrayFile.open(folder)
      }
      expectError(.io, "none") { try ArrayFile.open("\(folder)/none") }
      try NPZ.write(["x": x(0..<4), "size": size], to: "\(folder)/a.npz")
      let wrong: [(OrderedDictionary<String, AnyTensor>, String)] = [
        (["x": x(0..<2)], "'size' of \(folder)/a.npz is missing"),
        (["x": x(0..<2), "size": size, "y": size], "'y' is not in \(folder)/a.npz"),
        (["x": ids(0..<2), "size": size], "'x' is int64 2, and float32 4×2"),
        (["x": .float32(Tensor(zeros: [2, 3])), "size": size], "'x' is float32 2×3"),
        (["x": .float64(Tensor(zeros: [2, 2])), "size": size], "'x' is float64 2×2"),
        (["x": .float32(Tensor(zeros: [])), "size": size], "'x' is float32 scalar"),
        (["x": x(0..<2), "size": .int64(Tensor([2], [224, 225]))], "'size' differs"),
      ]
      for (arrays, fragment) in wrong {
        try NPZ.write(arrays, to: "\(folder)/b.npz")
        expectError(.badInput, "\(folder)/b.npz", fragment) {
          try ArrayFile.open(folder)
        }
      }
      try put([80, 75, 3, 4], folder, "b.npz")
      expectError(.badInput, "\(folder)/b.npz", "not a zip file") {
        try ArrayFile.open(folder)
      }
    }
  }

  /// Arrays without elements take no bytes, whatever their extents.
  @Test func absurdNumbersOfRowsAreRefused() throws {
    try withTemporaryFolder { folder in
      let file = StoredArrayTests.npy("|u1", "(9223372036854775807, 0)", [])
      for name in ["a", "b"] {
        try put(storedNPZ("x", file), folder, "\(name).npz")
      }
      #expect(try ArrayFile.open("\(folder)/a.npz")["x"]?.count == .max)
      expectError(.badInput, folder, "too many rows") { try ArrayFile.open(folder) }
    }
  }
}
