// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

/// Pruning of transposed convolutions of several groups, and of layers that share their weights.
extension ChannelStructureTests {
  /// Transposed convolutions of several groups, and depthwise ones, whose weights have the outputs
  /// of one group alone.
  @Test(arguments: [
    [4, 64, 48], [2, 32, 32], [8, 16, 16], [4, 8, 24], [32, 32, 32], [32, 32, 64],
  ])
  func transposedGroups(sizes: [Int]) throws {
    let (groups, inputs, outputs) = (sizes[0], sizes[1], sizes[2])
    var model = ModelBuilder(seed: 15, input: [3, 4, 4])
    model.conv("x", "a", (3, inputs))
    model.node("Relu", ["a"], "b")
    model.weights("up", [inputs, outputs / groups, 2, 2])
    vector(&model, "up.b", outputs, seed: 2)
    model.node(
      "ConvTranspose", ["b", "up", "up.b"], "c",
      ["strides": .ints([2, 2]), "group": .int(groups)])
    model.node("Relu", ["c"], "d")
    model.conv("d", "e", (outputs, 16))
    let graph = finish(&model, "e", 16)
    try check(graph)
    for dataAware in [false, true] {
      let step = CompressionStep.prune { $0.dataAware = dataAware }
      let layers = try pruned(graph, step, [3, 4, 4])
      #expect(layers.contains { $0.layer == "Conv e" && $0.changed })
    }
  }

  /// A transposed convolution that reads the image: what it makes is cut alike in each group.
  @Test(arguments: [[3, 12], [3, 3], [1, 16]])
  func transposedGroupsOfTheImage(sizes: [Int]) throws {
    var model = ModelBuilder(seed: 16, input: [3, 4, 4])
    model.weights("up", [3, sizes[1] / sizes[0], 2, 2])
    model.node(
      "ConvTranspose", ["x", "up"], "a", ["strides": .ints([2, 2]), "group": .int(sizes[0])])
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (sizes[1], 16))
    let graph = finish(&model, "c", 16)
    let found = try check(graph).groups
    #expect(found.groups[0].channels == sizes[1] / sizes[0])
    #expect(try pruned(graph, CompressionStep(.prune), [3, 4, 4]).contains { $0.changed })
  }

  /// Layers that share their weights lose the same channels, and go on sharing them.
  @Test func sharedWeightsStayShared() throws {
    var model = ModelBuilder(seed: 17, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    model.weights("w", [12, 12, 3, 3])
    var value = "a"
    for index in 0..<3 {
      vector(&model, "bias\(index)", 12, seed: UInt64(index))
      model.node(
        "Conv", [value, "w", "bias\(index)"], "c\(index)", ["pads": .ints([1, 1, 1, 1])])
      model.node("Relu", ["c\(index)"], "r\(index)")
      value = "r\(index)"
    }
    let graph = finish(&model, value, 12)
    let (groups, last) = try check(graph)
    #expect(groups.groups[0].channels == 12 && groups.groups[0].producers.count == 4)
    let readers = last.nodes.filter { $0.opType == "Conv" }.dropFirst()
    #expect(Set(readers.map { $0.inputs[1] }).count == 1)
    #expect(try pruned(graph, CompressionStep(.prune), [3, 6, 6]).contains { $0.changed })
  }

  /// A layer whose weights are needed whole elsewhere keeps its channels, and says why.
  @Test func weightsThatAreNeededWholeStay() throws {
    var model = ModelBuilder(seed: 18, input: [12, 6, 6])
    model.weights("w", [12, 12, 3, 3])
    model.node("Conv", ["x", "w"], "a", ["pads": .ints([1, 1, 1, 1])])
    model.conv("a", "b", (12, 12))
    model.node("Conv", ["b", "w"], "c", ["pads": .ints([1, 1, 1, 1])])
    model.conv("c", "d", (12, 12))
    let groups = try ChannelGroups(finish(&model, "d", 12)).groups
    // The image has all of its channels, so what the second one reads stays; what both make goes
    // together.
    let read = try #require(groups.first { $0.producers == ["Conv b"] })
    #expect(read.pinned?.contains("Conv 'Conv a'") == true)
    let made = try #require(groups.first { $0.producers.contains("Conv a") })
    #expect(made.producers == ["Conv a", "Conv c"] && made.pinned == nil)
  }

  /// Reports of a step on random images.
  private func pruned(
    _ graph: Graph, _ step: CompressionStep, _ shape: [Int]
  ) throws -> [LayerReport] {
    var random = RandomGenerator(seed: 5)
    let samples = AnyTensor(Tensor<Float>(Shape([24] + shape), normalUsing: &random))
    let context = CompressionContext(original: graph, samples: ["x": samples])
    return try Compressor(context).apply(Recipe([step])).layers
  }
}
