// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Arrays for inputs, and slices of their samples.
struct InputArrayTests {
  /// A model that takes samples `x` and `ids`, and a rate for all of them.
  private func model() -> Graph {
    var graph = Graph(name: "rated")
    let n = Dimension.symbolic("N")
    graph.inputs = [
      ValueInfo("x", .float32, [n, .fixed(2)]), ValueInfo("ids", .int64, [n]),
      ValueInfo("rate", .float32, [.fixed(1)]),
    ]
    graph.outputs = [ValueInfo("y", .float32, [n, .fixed(2)])]
    graph.nodes = [Node("Mul", name: "mul", inputs: ["x", "rate"], outputs: ["y"])]
    return graph
  }

  private func feed(_ slices: String) throws -> InputFeed {
    try withTemporaryFolder { folder in
      let x = Tensor<Float>([10, 2], (0..<20).map { Float($0) })
      let ids = Tensor<Int64>([10], (0..<10).map { Int64($0) })
      try AtomicFile.write(
        NPZ.encode(["x": .float32(x), "ids": .int64(ids), "rate": .float32(Tensor([1], [8]))]),
        to: "\(folder)/a.npz")
      let data = try DataSpec(parsing: "inputs:\(folder)/a.npz\(slices)").load(defaultPart: .train)
      #expect(!data.hasLabels)
      return try InputFeed(data, for: model())
    }
  }

  @Test(arguments: [
    ("", 0..<10), ("[0..<4]", 0..<4), ("[50%]", 0..<5), ("[20%..<80%]", 2..<8),
    ("[2..<9][1..<3]", 3..<5),
  ])
  func slicesAreOfTheSamples(text: String, range: Range<Int>) throws {
    let feed = try feed(text)
    #expect(feed.count == range.count && feed.preprocessing == nil)
    let inputs = try feed.inputs(Array(0..<feed.count), threads: .serial)
    #expect(inputs["x"]?.shape == [range.count, 2])
    let ids: Tensor<Int64>? = inputs["ids"]?.typed()
    #expect(ids?.elements == range.map { Int64($0) })
    #expect(inputs["rate"]?.shape == [1])
  }

  @Test func samplesComeInAnyOrder() throws {
    let feed = try feed("[2..<9]")
    let inputs = try feed.inputs([6, 0, 6, 1], threads: .serial)
    let ids: Tensor<Int64>? = inputs["ids"]?.typed()
    #expect(ids?.elements == [8, 2, 8, 3])
    let x: Tensor<Float>? = inputs["x"]?.typed()
    #expect(x?.elements == [16, 17, 4, 5, 16, 17, 6, 7])
  }

  @Test(arguments: ["[3]", "[5..<20]", "[a..<b]", "[4..<4]"])
  func slicesThatDoNotFitAreRefused(text: String) {
    let error = #expect(throws: SwiftletError.self) { try feed(text) }
    #expect(error?.code == .badInput)
    #expect(error?.what.contains("slice") == true)
  }

  @Test func labelledArraysMatchTheirLabels() throws {
    let x = InputArrays(["": .float32(Tensor([4, 3], (0..<12).map { Float($0) }))])
    var graph = Graph(name: "plain")
    graph.inputs = [ValueInfo("features", .float32, [.symbolic("N"), .fixed(3)])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(3)])]
    graph.nodes = [Node("Relu", name: "relu", inputs: ["features"], outputs: ["y"])]
    let data = try ImageDataset(name: "rows", arrays: x, labels: [2, 0, 1, 1], classCount: 3)
    let feed = try InputFeed(data.subset([3, 1]), for: graph)
    let features: Tensor<Float>? = try feed.inputs([0, 1], threads: .serial)["features"]?.typed()
    #expect(features?.elements == [9, 10, 11, 3, 4, 5])
    #expect(data.subset([3, 1]).labels == [1, 0])
    #expect(throws: SwiftletError.self) {
      try ImageDataset(name: "rows", arrays: x, labels: [0, 1], classCount: 3)
    }
  }
}
