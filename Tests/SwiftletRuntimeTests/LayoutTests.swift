// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Values of any rank and order of axes.
struct LayoutTests {
  @Test(arguments: 0..<400)
  func oneImageEqualsTheReference(seed: Int) throws {
    try check(RandomLayouts.make(seed: UInt64(seed), isSingle: true), batches: [1])
  }

  @Test(arguments: 0..<400)
  func batchesEqualTheReference(seed: Int) throws {
    try check(RandomLayouts.make(seed: UInt64(5000 + seed), isSingle: false), batches: [1, 2, 7])
  }

  private func check(_ graph: Graph, batches: [Int]) throws {
    let reference = try Interpreter(graph)
    var wrong: [String] = []
    for batch in batches {
      let input = try ["x": randomInput(graph, batch: batch)]
      // Random numbers of axes may fit only one batch.
      guard let expected = try? reference.run(input, ExecutionContext()) else { continue }
      for threads in [1, 3] {
        let results = try Session(graph, threads: Threads(count: threads)).run(input)
        for name in graph.outputs.map(\.name) {
          let error = difference(results[name]!, expected[name]!)
          if !(error <= 1e-4) {
            wrong.append("batch \(batch), \(threads) threads: \(name) is off by \(error)")
          }
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))\n\(graph.listing)")
  }

  @Test func splitsAlongAnyAxis() throws {
    for axis in 1...3 {
      var builder = GraphBuilder(seed: 3, input: [6, 4, 8])
      let weights = builder.weights([8, 8], times: 0.3)
      let rows = builder.add("MatMul", ["x", weights])!
      var graph = builder.graph
      let sizes = [[1, 3, 2], [1, 1, 2], [4, 3, 1]][axis - 1]
      graph.initializers["sizes"] = .int64(Tensor([3], sizes.map(Int64.init)))
      graph.nodes.append(
        Node(
          "Split", name: "split", inputs: [rows, "sizes"], outputs: ["a", "b", "c"],
          attributes: ["axis": .int(axis)]))
      graph.outputs = ["a", "b", "c"].map {
        ValueInfo($0, .float32, (0..<4).map { .symbolic("d\($0)") })
      }
      try check(graph, batches: [1, 3])
    }
  }

  /// What modern networks are made of leaves nothing to the reference.
  @Test func attentionBlocksRunOnKernels() throws {
    var builder = GraphBuilder(seed: 4, input: [12, 10, 10])
    let patches = builder.add(
      "Conv", ["x", builder.weights([16, 12, 2, 2], times: 0.2)], ["strides": .ints([2, 2])])!
    func shape(_ extents: [Int64]) -> String {
      builder.constant(.int64(Tensor([extents.count], extents)))
    }
    let flat = builder.add("Reshape", [patches, shape([0, 16, -1])])!
    let rows = builder.add("Transpose", [flat], ["perm": .ints([0, 2, 1])])!
    let normal = builder.add(
      "LayerNormalization",
      [rows, builder.weights([16], times: 0.1, plus: 1), builder.weights([16], times: 0.1)])!
    let all = builder.add("MatMul", [normal, builder.weights([16, 48], times: 0.3)])!
    let heads = builder.add("Reshape", [all, shape([0, -1, 3, 2, 8])])!
    let moved = builder.add("Transpose", [heads], ["perm": .ints([2, 0, 3, 1, 4])])!
    let parts = (0..<3).map { index in
      builder.add("Gather", [moved, builder.constant(.int64(Tensor([], [index])))], [:])!
    }
    let keys = builder.add("Transpose", [parts[1]], ["perm": .ints([0, 1, 3, 2])])!
    let scores = builder.add("MatMul", [parts[0], keys])!
    let chances = builder.add("Softmax", [scores], ["axis": .int(-1)])!
    let answers = builder.add("MatMul", [chances, parts[2]])!
    let joined = builder.add("Transpose", [answers], ["perm": .ints([0, 2, 1, 3])])!
    let joinedRows = builder.add("Reshape", [joined, shape([0, -1, 16])])!
    let result = builder.add("Add", [joinedRows, rows])!
    builder.output(result)
    try check(builder.graph, batches: [1])
    let kinds = try Session(builder.graph).computations(["x": randomInput(builder.graph, batch: 1)])
      .map(\.kind)
    #expect(!kinds.contains(.reference), "\(kinds)")
  }
}
