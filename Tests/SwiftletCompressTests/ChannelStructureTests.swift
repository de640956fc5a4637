// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

/// Pruning through what takes channels apart, puts them together again, and counts them.
struct ChannelStructureTests {
  private func run(_ graph: Graph, _ input: Tensor<Float>) throws -> [Float] {
    let interpreter = try Interpreter(graph)
    let result = try interpreter.run([interpreter.inputNames[0]: .float32(input)], ExecutionContext())
    return try #require(result[graph.outputs[0].name]?.typed(as: Float.self)).elements
  }

  /// The graph with all that belongs to the channels that go set to 0.
  private func masked(_ groups: ChannelGroups, _ keeping: [Int: [Int]]) throws -> Graph {
    var graph = groups.graph
    for use in groups.trace.uses {
      let name = graph.nodes[use.node].inputs[use.input]
      guard let stored: Tensor<Float> = graph.initializers[name]?.typed() else { continue }
      var tensor = stored.contiguous()
      let (axis, shape) = (use.axis.axis, tensor.shape)
      let inner = shape.count(of: axis + 1..<shape.rank)
      var values = tensor.mutableSpan
      for position in values.indices {
        let member = groups.members[use.axis.channels[position / inner % shape[axis]]]
        if let kept = keeping[member.group], !kept.contains(member.index) { values[position] = 0 }
      }
      graph.initializers[name] = .float32(tensor)
    }
    return graph
  }

  /// Prunes whatever can be pruned to some of its channels, and compares answers with those of the
  /// masked model.
  ///
  /// - Returns: The groups, and the pruned graph.
  @discardableResult
  func check(
    _ graph: Graph, batch: Int = 3, seeds: Range<UInt64> = 0..<4
  ) throws -> (groups: ChannelGroups, pruned: Graph) {
    var shape = graph.inputs[0].dimensions.map { dimension in
      if case .fixed(let extent) = dimension { extent } else { 8 }
    }
    if case .symbolic = graph.inputs[0].dimensions[0] { shape[0] = batch }
    var random = RandomGenerator(seed: 9)
    let input = Tensor<Float>(Shape(shape), normalUsing: &random)
    let groups = try ChannelGroups(graph)
    var last = graph
    for seed in seeds {
      var random = RandomGenerator(seed: seed, stream: 2)
      var keeping: [Int: [Int]] = [:]
      for group in groups.groups where group.pinned == nil && group.channels > 1 {
        let count = 1 + random.below(group.channels - 1)
        keeping[group.id] = Array(random.permutation(of: group.channels)[..<count])
      }
      #expect(!keeping.isEmpty, "\(groups.groups)")
      let silent = try masked(groups, keeping)
      last = try ChannelGroups(silent).pruned(keeping: keeping)
      let (a, b) = (try run(silent, input), try run(last, input))
      try #require(a.count == b.count)
      let scale = a.reduce(1e-6) { max($0, abs($1)) }
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * scale }, "seed \(seed)")
      #expect(a.contains { abs($0) > 1e-3 })
      #expect(last.parameterCount < graph.parameterCount)
    }
    return (groups, last)
  }

  /// Mean over space and a classifier.
  func finish(_ model: inout ModelBuilder, _ value: String, _ channels: Int) -> Graph {
    model.node("GlobalAveragePool", [value], "pooled")
    model.node("Flatten", ["pooled"], "flat")
    model.gemm("flat", "y", (channels, 5))
    model.output("y", [5])
    return model.graph
  }

  private func constant(_ model: inout ModelBuilder, _ name: String, _ list: [Int]) {
    model.graph.initializers[name] = .int64(Tensor([list.count], list.map(Int64.init)))
  }

  func vector(_ model: inout ModelBuilder, _ name: String, _ count: Int, seed: UInt64) {
    var random = RandomGenerator(seed: seed)
    model.graph.initializers[name] = .float32(
      Tensor([count], uniformIn: 0.5...1.5, using: &random))
  }

  // MARK: Parts

  /// As C2f of YOLO: two halves, one of which goes on, and all side by side again.
  @Test(arguments: [true, false])
  func splitsIntoHalves(isList: Bool) throws {
    var model = ModelBuilder(seed: 1, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    constant(&model, "halves", [6, 6])
    model.graph.nodes.append(
      Node(
        "Split", name: "split", inputs: isList ? ["a", "halves"] : ["a"], outputs: ["b", "c"],
        attributes: ["axis": .int(1)]))
    model.conv("c", "d", (6, 6))
    model.node("Relu", ["d"], "e")
    model.node("Add", ["c", "e"], "f")
    model.node("Concat", ["b", "c", "f"], "g", ["axis": .int(1)])
    model.conv("g", "h", (18, 8))
    let groups = try check(finish(&model, "h", 8)).groups
    #expect(groups.groups.first { $0.producers.contains("Conv a") }?.channels == 6)
  }

  @Test func splitsIntoUnequalParts() throws {
    var model = ModelBuilder(seed: 2, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    constant(&model, "parts", [8, 4])
    model.graph.nodes.append(
      Node(
        "Split", name: "split", inputs: ["a", "parts"], outputs: ["b", "c"],
        attributes: ["axis": .int(-3)]))
    model.conv("b", "d", (8, 6))
    model.conv("c", "e", (4, 6))
    model.node("Add", ["d", "e"], "f")
    let groups = try check(finish(&model, "f", 6)).groups
    #expect(groups.groups.first { $0.producers == ["Conv a"] }?.channels == 4)
  }

  @Test func gatedUnits() throws {
    var model = ModelBuilder(seed: 3, input: [3, 6, 6])
    model.graph.opset = 12
    model.conv("x", "a", (3, 10))
    model.graph.nodes.append(
      Node(
        "Split", name: "split", inputs: ["a"], outputs: ["b", "c"],
        attributes: ["axis": .int(1), "split": .ints([5, 5])]))
    model.node("Sigmoid", ["c"], "d")
    model.node("Mul", ["b", "d"], "e")
    try check(finish(&model, "e", 5))
  }

  @Test(arguments: [17, 9])
  func slicesOfChannels(opset: Int) throws {
    var model = ModelBuilder(seed: 4, input: [3, 6, 6])
    model.graph.opset = opset
    model.conv("x", "a", (3, 12))
    for (name, from, to) in [("b", 0, 6), ("c", 6, 1 << 40)] {
      if opset < 10 {
        model.node(
          "Slice", ["a"], name,
          ["starts": .ints([from, 1]), "ends": .ints([to, 6]), "axes": .ints([1, 2])])
      } else {
        constant(&model, "\(name).from", [1, from])
        constant(&model, "\(name).to", [6, to])
        constant(&model, "\(name).along", [2, 1])
        model.node("Slice", ["a", "\(name).from", "\(name).to", "\(name).along"], name)
      }
    }
    model.conv("b", "d", (6, 7))
    model.conv("c", "e", (6, 7))
    model.node("Add", ["d", "e"], "f")
    try check(finish(&model, "f", 7))
  }

  /// A third in the middle: what is cut off keeps a channel, too.
  @Test func slicesFromTheMiddle() throws {
    var model = ModelBuilder(seed: 5, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    for (name, value) in [("from", 4), ("to", -4), ("along", 1)] { constant(&model, name, [value]) }
    model.node("Slice", ["a", "from", "to", "along"], "b")
    model.conv("b", "c", (4, 6))
    let groups = try check(finish(&model, "c", 6)).groups
    #expect(groups.groups[0].channels == 4)
  }

  // MARK: Normalization

  @Test func instanceNormalization() throws {
    var model = ModelBuilder(seed: 6, input: [3, 6, 6])
    model.conv("x", "a", (3, 8))
    for (name, seed) in [("s", 1), ("t", 2)] { vector(&model, name, 8, seed: UInt64(seed)) }
    model.node("InstanceNormalization", ["a", "s", "t"], "b")
    model.node("Relu", ["b"], "c")
    let pruned = try check(finish(&model, "c", 8)).pruned
    #expect(pruned.initializers["s"]?.shape == pruned.initializers["a.b"]?.shape)
  }

  @Test(arguments: [18, 21])
  func groupNormalization(opset: Int) throws {
    var model = ModelBuilder(seed: 7, input: [3, 6, 6])
    model.graph.opset = opset
    model.conv("x", "a", (3, 12))
    for (name, seed) in [("s", 1), ("t", 2)] {
      vector(&model, name, opset < 21 ? 4 : 12, seed: UInt64(seed))
    }
    model.node("GroupNormalization", ["a", "s", "t"], "b", ["num_groups": .int(4)])
    model.conv("b", "c", (12, 6))
    let (groups, pruned) = try check(finish(&model, "c", 6))
    #expect(groups.groups[0].channels == 4)
    let node = try #require(pruned.nodes.first { $0.opType == "GroupNormalization" })
    #expect(try node.int("num_groups", default: 0) * 3 == pruned.weight("a.w").shape[0])
  }

  /// As torch exports GroupNorm before operator set 18.
  @Test(arguments: [[0, 4, -1], [2, 4, -1]])
  func groupNormalizationByReshaping(target: [Int]) throws {
    var model = ModelBuilder(seed: 8, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    constant(&model, "groups", target)
    model.node("Reshape", ["a", "groups"], "b")
    for (name, value) in [("ones", Float(1)), ("zeros", 0)] {
      model.graph.initializers[name] = .float32(Tensor([4], repeating: value))
    }
    model.node("InstanceNormalization", ["b", "ones", "zeros"], "c")
    // The shape that the value had, computed again.
    model.node("Shape", ["a"], "shape")
    model.node("Reshape", ["c", "shape"], "d")
    model.weights("gamma", [12, 1, 1])
    model.weights("beta", [12, 1, 1])
    model.node("Mul", ["d", "gamma"], "e")
    model.node("Add", ["e", "beta"], "f")
    if target[0] == 2 { model.graph.inputs[0].dimensions[0] = .fixed(2) }
    let groups = try check(finish(&model, "f", 12)).groups
    #expect(groups.groups[0].channels == 4 && groups.groups[0].pinned == nil)
  }

  // MARK: Convolutions

  /// Of 8 groups of 2 channels whole ones go; of 2 groups of 8 channels the same places of both.
  @Test(arguments: [(8, 8), (2, 8), (4, 4)])
  func groupedConvolutions(groups: Int, units: Int) throws {
    var model = ModelBuilder(seed: 9, input: [3, 6, 6])
    model.conv("x", "a", (3, 16), kernel: 1)
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (16, 16), groups: groups)
    model.node("Relu", ["c"], "d")
    model.conv("d", "e", (16, 8), kernel: 1)
    let (found, pruned) = try check(finish(&model, "e", 8))
    #expect(found.groups.first { $0.producers.contains("Conv a") }?.channels == units)
    let weights = try pruned.weight("c.w").shape
    let node = try #require(pruned.nodes.first { $0.name == "Conv c" })
    let count = try node.int("group", default: 1)
    #expect(weights[1] * count == (try pruned.weight("a.w").shape[0]))
    #expect(weights[0] % count == 0)
  }

  @Test func groupedConvolutionsOfTheInput() throws {
    var model = ModelBuilder(seed: 10, input: [4, 6, 6])
    model.conv("x", "a", (4, 12), groups: 2)
    model.conv("a", "b", (12, 6))
    let groups = try check(finish(&model, "b", 6)).groups
    #expect(groups.groups[0].channels == 6)
  }

  @Test(arguments: [1, 6])
  func transposedConvolutions(groups: Int) throws {
    var model = ModelBuilder(seed: 11, input: [3, 5, 5])
    model.conv("x", "a", (3, 6))
    model.weights("up", [6, groups == 1 ? 4 : 1, 2, 2])
    vector(&model, "up.b", groups == 1 ? 4 : 6, seed: 1)
    model.node(
      "ConvTranspose", ["a", "up", "up.b"], "b", ["strides": .ints([2, 2]), "group": .int(groups)])
    model.node("Relu", ["b"], "c")
    model.conv("c", "d", (groups == 1 ? 4 : 6, 6))
    let found = try check(finish(&model, "d", 6)).groups
    #expect(found.groups.count == (groups == 1 ? 4 : 3))
  }

  // MARK: Shapes

  /// As ShuffleNet: reshape, transpose, reshape, between grouped convolutions.
  @Test(arguments: [2, 3, 6])
  func channelShuffle(groups: Int) throws {
    var model = ModelBuilder(seed: 12, input: [3, 6, 6])
    model.conv("x", "a", (3, 12), kernel: 1)
    constant(&model, "apart", [0, groups, 12 / groups, 6, 6])
    constant(&model, "together", [-1, 12, 6, 6])
    model.node("Reshape", ["a", "apart"], "b")
    model.node("Transpose", ["b"], "c", ["perm": .ints([0, 2, 1, 3, 4])])
    model.node("Reshape", ["c", "together"], "d")
    model.conv("d", "e", (12, 12), groups: 12)
    model.conv("e", "f", (12, 6), kernel: 1)
    let found = try check(finish(&model, "f", 6)).groups
    #expect(found.groups[0].channels == max(groups, 12 / groups))
  }

  /// The unit of ShuffleNetV2: halves, one of which is convolved, side by side, shuffled.
  @Test func halvesThatAreShuffled() throws {
    var model = ModelBuilder(seed: 13, input: [3, 6, 6])
    model.conv("x", "in", (3, 16), kernel: 1)
    var value = "in"
    for block in ["p", "q"] {
      model.graph.nodes.append(
        Node(
          "Split", name: "\(block) split", inputs: [value], outputs: ["\(block).l", "\(block).r"],
          attributes: ["axis": .int(1)]))
      model.conv("\(block).r", "\(block).1", (8, 8), kernel: 1)
      model.conv("\(block).1", "\(block).2", (8, 8), groups: 8)
      model.conv("\(block).2", "\(block).3", (8, 8), kernel: 1)
      model.node("Concat", ["\(block).l", "\(block).3"], "\(block).4", ["axis": .int(1)])
      constant(&model, "\(block).apart", [0, 2, 8, 6, 6])
      constant(&model, "\(block).together", [0, 16, 6, 6])
      model.node("Reshape", ["\(block).4", "\(block).apart"], "\(block).5")
      model.node("Transpose", ["\(block).5"], "\(block).6", ["perm": .ints([0, 2, 1, 3, 4])])
      model.node("Reshape", ["\(block).6", "\(block).together"], "\(block).7")
      value = "\(block).7"
    }
    model.conv(value, "out", (16, 6), kernel: 1)
    try check(finish(&model, "out", 6))
  }

  /// As torch exports `interpolate(x, size=y.shape[2:])`: sizes begin with the batch and the
  /// channels of x.
  @Test func resizesToSizesThatAreComputed() throws {
    var model = ModelBuilder(seed: 14, input: [3, 4, 4])
    model.conv("x", "a", (3, 6))
    model.conv("x", "fine", (3, 6))
    model.node("MaxPool", ["a"], "b", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    for (name, list) in [("zero", [0]), ("two", [2]), ("four", [4])] {
      constant(&model, name, list)
    }
    model.node("Shape", ["b"], "front")
    model.node("Slice", ["front", "zero", "two", "zero"], "channels")
    model.node("Shape", ["fine"], "behind")
    model.node("Slice", ["behind", "two", "four", "zero"], "space")
    model.node("Concat", ["channels", "space"], "sizes", ["axis": .int(0)])
    model.node("Resize", ["b", "", "", "sizes"], "c", ["mode": .string("nearest")])
    model.node("Concat", ["c", "fine"], "d", ["axis": .int(1)])
    model.conv("d", "e", (12, 5))
    let groups = try check(finish(&model, "e", 5)).groups
    #expect(groups.groups.filter { $0.pinned == nil }.count == 3)
  }

  /// With open height and width, which no constant shape could name.
  @Test func shapesWithOpenExtents() throws {
    var model = ModelBuilder(seed: 15, input: [3, 6, 6])
    model.graph.inputs[0].dimensions[2] = .symbolic("H")
    model.graph.inputs[0].dimensions[3] = .symbolic("W")
    model.conv("x", "a", (3, 8))
    constant(&model, "groups", [0, 4, -1])
    model.node("Reshape", ["a", "groups"], "b")
    for (name, value) in [("ones", Float(1)), ("zeros", 0)] {
      model.graph.initializers[name] = .float32(Tensor([4], repeating: value))
    }
    model.node("InstanceNormalization", ["b", "ones", "zeros"], "c")
    model.node("Shape", ["a"], "shape")
    model.node("Reshape", ["c", "shape"], "d")
    try check(finish(&model, "d", 8))
  }

  @Test func sharesThatAreComputed() throws {
    var model = ModelBuilder(seed: 16, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    for (name, list) in [("zero", [0]), ("one", [1]), ("two", [2]), ("six", [6])] {
      constant(&model, name, list)
    }
    model.node("Shape", ["a"], "s")
    model.node("Gather", ["s", "zero"], "n")
    model.node("Gather", ["s", "one"], "count")
    model.node("Div", ["count", "two"], "share")
    model.node("Concat", ["n", "two", "share", "six", "six"], "apart", ["axis": .int(0)])
    model.node("Concat", ["n", "count", "six", "six"], "together", ["axis": .int(0)])
    model.node("Reshape", ["a", "apart"], "b")
    model.node("Transpose", ["b"], "c", ["perm": .ints([0, 2, 1, 3, 4])])
    model.node("Reshape", ["c", "together"], "d")
    model.conv("d", "e", (12, 6), kernel: 1)
    let groups = try check(finish(&model, "e", 6)).groups
    #expect(groups.groups[0].channels == 6)
  }

  /// A number of channels that goes into arithmetic keeps the channels.
  @Test func numbersThatAreComputedWithPin() throws {
    var model = ModelBuilder(seed: 17, input: [3, 6, 6])
    model.conv("x", "a", (3, 6))
    constant(&model, "one", [1])
    model.node("Shape", ["a"], "s")
    model.node("Gather", ["s", "one"], "count")
    model.node("Cast", ["count"], "number", ["to": .int(1)])
    model.node("Div", ["a", "number"], "b")
    let groups = try ChannelGroups(finish(&model, "b", 6))
    #expect(groups.groups[0].pinned?.contains("computes with the number of channels") == true)
  }

  /// Of 7 and 5 channels no common units can be made.
  @Test func partsWithoutACommonDivisorPin() throws {
    var model = ModelBuilder(seed: 18, input: [3, 6, 6])
    model.conv("x", "a", (3, 12))
    constant(&model, "parts", [7, 5])
    model.graph.nodes.append(
      Node(
        "Split", name: "split", inputs: ["a", "parts"], outputs: ["b", "c"],
        attributes: ["axis": .int(1)]))
    model.conv("b", "d", (7, 6))
    model.conv("c", "e", (5, 6))
    model.node("Add", ["d", "e"], "f")
    let groups = try ChannelGroups(finish(&model, "f", 6))
    #expect(groups.groups[0].pinned?.contains("Split") == true)
  }

  // MARK: The whole technique

  /// Ranking, refitting, timing and reports, on what layers of groups and transposed ones make.
  @Test(arguments: [true, false])
  func pruningByData(allocates: Bool) throws {
    var model = ModelBuilder(seed: 19, input: [3, 8, 8])
    model.conv("x", "a", (3, 32))
    model.conv("a", "b", (32, 32), groups: 4)
    model.node("Relu", ["b"], "c")
    model.weights("up", [32, 16, 2, 2])
    model.node("ConvTranspose", ["c", "up"], "d", ["strides": .ints([2, 2])])
    model.conv("d", "e", (16, 16))
    let graph = finish(&model, "e", 16)
    var random = RandomGenerator(seed: 5)
    let samples = AnyTensor(Tensor<Float>([24, 3, 8, 8], normalUsing: &random))
    let context = CompressionContext(original: graph, samples: ["x": samples])
    let step = CompressionStep.prune {
      ($0.ratio, $0.cost) = (allocates ? 0.5 : nil, .macs)
    }
    let (pruned, layers) = try Compressor(context).apply(Recipe([step]))
    #expect(pruned.parameterCount < graph.parameterCount * (allocates ? 9 : 7) / 10)
    #expect(layers.contains { ($0.layer == "Conv b" || allocates) && $0.changed })
    #expect(layers.contains { $0.layer == "ConvTranspose d" })
  }
}
