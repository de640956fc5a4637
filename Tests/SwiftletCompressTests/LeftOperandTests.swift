// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

/// Products whose weights are the left operand, W · x.
@Suite struct LeftOperandTests {
  private let graph = Graph(
    name: "left", nodes: [Node("MatMul", name: "left", inputs: ["w", "x"], outputs: ["y"])],
    initializers: ["w": .float32(Tensor([3, 4], repeating: 7))],
    inputs: [ValueInfo("x", .float32, [.fixed(4), .fixed(5)])],
    outputs: [ValueInfo("y", .float32, [.fixed(3), .fixed(5)])])

  @Test func bfloatSaysWhyTheyStay() throws {
    let (result, layers) = try BFloatLayers(["left"]).apply(to: graph)
    #expect(result == graph)
    #expect(layers.map(\.changed) == [false])
    #expect(layers[0].remark.contains("left operand"), "\(layers[0].remark)")
  }

  @Test func freshStudentsGetOtherWeights() throws {
    let fresh = try graph.reinitialized(seed: 1)
    let weights = try #require(fresh.initializers["w"]?.typed(as: Float.self))
    // Products of 4: uniform within ±1/√4.
    #expect(weights.shape == [3, 4] && weights.elements.allSatisfy { abs($0) <= 0.5 })
    #expect(Set(weights.elements).count > 6)
  }
}
