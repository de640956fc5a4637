// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

struct ChannelGroupTests {
  private func run(_ graph: Graph, _ input: Tensor<Float>) throws -> [Float] {
    let interpreter = try Interpreter(graph)
    let result = try interpreter.run([interpreter.inputNames[0]: .float32(input)], ExecutionContext())
    return try #require(result[graph.outputs[0].name]?.typed(as: Float.self)).elements
  }

  private func images(_ shape: Shape, seed: UInt64 = 9) -> Tensor<Float> {
    var random = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &random)
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    let scale = a.reduce(1e-6) { max($0, abs($1)) }
    return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / scale
  }

  /// Some channels of each group that may lose some, and so many at least.
  private func choice(_ groups: ChannelGroups, seed: UInt64, least: Int = 1) -> [Int: [Int]] {
    var random = RandomGenerator(seed: seed, stream: 2)
    var result: [Int: [Int]] = [:]
    for group in groups.groups where group.pinned == nil && group.channels > least {
      let count = least + random.below(group.channels - least)
      result[group.id] = Array(random.permutation(of: group.channels)[..<count])
    }
    return result
  }

  /// The graph with the weights that read the channels that go set to 0.
  private func silenced(_ groups: ChannelGroups, _ keeping: [Int: [Int]]) throws -> Graph {
    var graph = groups.graph
    for layer in groups.trace.layers {
      guard let inputs = layer.inputs else { continue }
      let node = graph.nodes[layer.index]
      var weights = try graph.weight(node.inputs[1]).contiguous()
      let isTransposed =
        try node.opType == "MatMul"
        || (node.opType == "Gemm" && node.int("transB", default: 0) == 0)
      let axis = isTransposed ? 0 : 1
      let inner = weights.shape.count(of: axis + 1..<weights.shape.rank)
      let shape = weights.shape
      var values = weights.mutableSpan
      for position in values.indices {
        let member = groups.members[inputs[position / inner % shape[axis]]]
        if let kept = keeping[member.group], !kept.contains(member.index) { values[position] = 0 }
      }
      graph.initializers[node.inputs[1]] = .float32(weights)
    }
    return graph
  }

  // MARK: Properties

  /// Of two channels or more the groups stay what they were. A depthwise convolution of one channel
  /// is a plain one, which reads one group and makes another.
  @Test(arguments: 0..<40, [1, 2])
  func whatNobodyReadsCanGo(seed: Int, least: Int) throws {
    let graph = RandomNetwork.make(seed: UInt64(seed))
    let groups = try ChannelGroups(graph)
    let keeping = choice(groups, seed: UInt64(seed), least: least)
    #expect(!keeping.isEmpty)
    let silent = try silenced(groups, keeping)
    let pruned = try ChannelGroups(silent).pruned(keeping: keeping)
    let input = images([3, 3, 8, 8])
    #expect(try distance(run(silent, input), run(pruned, input)) < 1e-4)
    #expect(pruned.parameterCount < graph.parameterCount)
    guard least > 1 else { return }
    let again = try ChannelGroups(pruned)
    #expect(again.groups.count == groups.groups.count)
    for (before, after) in zip(groups.groups, again.groups) {
      #expect(after.channels == keeping[before.id]?.count ?? before.channels)
      #expect(after.producers == before.producers && after.consumers == before.consumers)
    }
  }

  @Test(arguments: 0..<10)
  func keepingAllChangesNothing(seed: Int) throws {
    let graph = RandomNetwork.make(seed: UInt64(seed))
    let groups = try ChannelGroups(graph)
    let all = Dictionary(
      uniqueKeysWithValues: groups.groups.map { ($0.id, Array(0..<$0.channels)) })
    #expect(try groups.pruned(keeping: all) == graph)
    #expect(try groups.pruned(keeping: [:]) == graph)
  }

  // MARK: Structures

  @Test func sumsTieTheirOperands() throws {
    let groups = try ChannelGroups(ModelBuilder.residual(seed: 1)).groups
    #expect(groups[0].producers == ["Conv a", "Conv c"])
    #expect(groups[0].consumers == ["Conv c", "Conv f", "Gemm y"])
    #expect(groups[0].channels == 8 && groups[0].pinned == nil)
    #expect(groups[1].producers == ["Conv f"] && groups[1].consumers == ["Gemm y"])
    #expect(groups[2].producers == ["Gemm y"])
    #expect(groups[2].pinned?.contains("output 'y'") == true)
    #expect(groups.count == 3)
  }

  @Test func depthwiseConvolutionsFollow() throws {
    let groups = try ChannelGroups(ModelBuilder.residual(seed: 1))
    let pruned = try groups.pruned(keeping: [0: [1, 2, 6], 1: [3]])
    #expect(pruned.initializers["c.w"]?.shape == [3, 3, 3, 3])
    #expect(pruned.initializers["f.w"]?.shape == [1, 3, 1, 1])
    #expect(pruned.initializers["j.w"]?.shape == [4, 1, 3, 3])
    #expect(try pruned.nodes.first { $0.name == "Conv j" }?.int("group", default: 1) == 4)
    // The kept channels of the concatenation are 1, 2, 6 of the first part and 3 of the second.
    let before = try groups.graph.weight("y.w").contiguous()
    let after = try pruned.weight("y.w")
    for row in 0..<5 {
      #expect((0..<4).map { after[row, $0] } == [1, 2, 6, 11].map { before[row, $0] })
    }
  }

  @Test func flattenedImagesHaveEachChannelAtManyPlaces() throws {
    var model = ModelBuilder(seed: 2, input: [3, 4, 4])
    model.conv("x", "a", (3, 4))
    model.node("Transpose", ["a"], "b", ["perm": .ints([0, 2, 3, 1])])
    model.node("Flatten", ["b"], "c")
    model.gemm("c", "y", (64, 2))
    model.output("y", [2])
    let groups = try ChannelGroups(model.graph)
    let pruned = try groups.pruned(keeping: [0: [2]])
    let before = try groups.graph.weight("y.w").contiguous()
    let after = try pruned.weight("y.w")
    // Channels are last, so that channel 2 lies at every fourth place.
    #expect((0..<16).map { after[1, $0] } == (0..<16).map { before[1, $0 * 4 + 2] })
  }

  /// As torch exports `x.view(x.size(0), -1)`.
  @Test func shapesThatLeaveChannelsOutAreUnderstood() throws {
    var model = ModelBuilder(seed: 3, input: [3, 4, 4])
    model.conv("x", "a", (3, 6))
    model.node("Shape", ["a"], "s")
    model.graph.initializers["zero"] = .int64(Tensor([1], [0]))
    model.graph.initializers["rest"] = .int64(Tensor([1], [-1]))
    model.node("Gather", ["s", "zero"], "n")
    model.node("Concat", ["n", "rest"], "shape", ["axis": .int(0)])
    model.node("Reshape", ["a", "shape"], "b")
    model.gemm("b", "y", (96, 2))
    model.output("y", [2])
    let groups = try ChannelGroups(model.graph)
    #expect(groups.groups[0].pinned == nil)
    let pruned = try groups.pruned(keeping: [0: [0, 5]])
    #expect(pruned.initializers["y.w"]?.shape == [2, 32])
    #expect(try run(pruned, images([5, 3, 4, 4])).count == 10)
  }

  @Test func extentsThatNameTheChannelsAreRewritten() throws {
    var model = ModelBuilder(seed: 4, input: [3, 4, 4])
    model.conv("x", "a", (3, 6))
    model.graph.initializers["sizes"] = .int64(Tensor([4], [1, 6, 8, 8]))
    model.graph.inputs[0].dimensions[0] = .fixed(1)
    model.node("Resize", ["a", "", "", "sizes"], "b")
    model.node("GlobalAveragePool", ["b"], "c")
    model.graph.initializers["flat"] = .int64(Tensor([2], [1, 6]))
    model.node("Reshape", ["c", "flat"], "d")
    model.gemm("d", "e", (6, 6))
    model.graph.initializers["square"] = .int64(Tensor([4], [1, 6, 1, 1]))
    model.node("Reshape", ["e", "square"], "f")
    model.node("Mul", ["b", "f"], "g")
    model.conv("g", "h", (6, 2))
    model.graph.initializers["axes"] = .int64(Tensor([2], [2, 3]))
    model.node("ReduceMean", ["h", "axes"], "y", ["keepdims": .int(0)])
    model.graph.opset = 18
    model.output("y", [2])
    let groups = try ChannelGroups(model.graph)
    #expect(groups.groups[0].producers == ["Conv a", "Gemm e"])
    let keeping = [0: [0, 3]]
    let silent = try silenced(groups, keeping)
    let pruned = try ChannelGroups(silent).pruned(keeping: keeping)
    let input = images([1, 3, 4, 4])
    #expect(try distance(run(silent, input), run(pruned, input)) < 1e-5)
  }

  @Test func sharedConstantsStayWholeForOthers() throws {
    var model = ModelBuilder(seed: 5, input: [4, 4, 4])
    model.weights("scale", [4, 1, 1])
    model.node("Mul", ["x", "scale"], "a")
    model.conv("a", "b", (4, 4))
    model.node("Mul", ["b", "scale"], "c")
    model.conv("c", "d", (4, 2))
    model.node("GlobalAveragePool", ["d"], "e")
    model.node("Flatten", ["e"], "y")
    model.output("y", [2])
    let pruned = try ChannelGroups(model.graph).pruned(keeping: [0: [1, 3]])
    #expect(pruned.initializers["scale"]?.shape == [4, 1, 1])
    let name = try #require(pruned.nodes.first { $0.name == "Mul c" }?.inputs[1])
    #expect(pruned.initializers[name]?.shape == [2, 1, 1])
  }

  // MARK: Refusals

  /// A convolution whose six channels the given nodes read, by a name of what must be in the
  /// reason.
  private static let pins: [(reason: String, build: @Sendable (inout ModelBuilder) -> Void)] = [
    ("Softmax", { $0.node("Softmax", ["a"], "y", ["axis": .int(1)]) }),
    (
      "computed",
      {
        $0.node("GlobalAveragePool", ["x"], "g")
        $0.node("Reshape", ["g", "shape"], "w")
        $0.node("Conv", ["a", "w"], "y")
      }
    ),
    (
      "broadcasts",
      {
        $0.conv("x", "one", (3, 1))
        $0.node("Mul", ["a", "one"], "y")
      }
    ),
    (
      "Slice",
      {
        $0.graph.initializers["from"] = .int64(Tensor([1], [1]))
        $0.graph.initializers["to"] = .int64(Tensor([1], [4]))
        $0.graph.initializers["along"] = .int64(Tensor([1], [1]))
        $0.node("Slice", ["a", "from", "to", "along"], "y")
      }
    ),
    (
      "Shape",
      {
        $0.node("Shape", ["a"], "s")
        $0.node("ConstantOfShape", ["s"], "y")
      }
    ),
    ("ReduceMean", { $0.node("ReduceMean", ["a"], "y", ["axes": .ints([1])]) }),
    ("output", { $0.node("Relu", ["a"], "y") }),
    ("Add", { $0.node("Add", ["a", "six"], "y") }),
  ]

  @Test(arguments: pins.indices)
  func whatIsNotUnderstoodStays(index: Int) throws {
    let (reason, build) = Self.pins[index]
    var model = ModelBuilder(seed: 6, input: [3, 4, 4])
    model.graph.initializers["shape"] = .int64(Tensor([4], [1, 6, 1, 1]))
    model.graph.inputs.append(ValueInfo("six", .float32, [.fixed(6), .fixed(1), .fixed(1)]))
    model.graph.inputs[0].dimensions[0] = .fixed(2)
    model.conv("x", "a", (3, 6))
    build(&model)
    model.graph.outputs = [ValueInfo("y", .float32, [])]
    let groups = try ChannelGroups(model.graph)
    let group = try #require(
      groups.groups.first { $0.producers.contains(reason == "broadcasts" ? "Conv one" : "Conv a") })
    #expect(group.pinned?.contains(reason) == true, "\(group.pinned ?? "not pinned")")
    let error = #expect(throws: SwiftletError.self) {
      try groups.pruned(keeping: [group.id: group.channels > 1 ? [0] : []])
    }
    #expect(error?.code == .badInput)
  }

  @Test func whatInnerGraphsReadStays() throws {
    var model = ModelBuilder(seed: 7, input: [3, 4, 4])
    model.conv("x", "a", (3, 6))
    func branch(_ opType: String) -> Attribute {
      var graph = Graph(name: opType)
      graph.nodes = [Node(opType, name: opType, inputs: ["a"], outputs: ["\(opType).y"])]
      graph.outputs = [ValueInfo("\(opType).y", .float32, [])]
      return .graph(graph)
    }
    model.graph.initializers["flag"] = .bool(Tensor(.scalar, [true]))
    model.node(
      "If", ["flag"], "b", ["then_branch": branch("Relu"), "else_branch": branch("Abs")])
    model.conv("b", "y", (6, 2))
    model.output("y", [2, 4, 4])
    let groups = try ChannelGroups(model.graph).groups
    #expect(groups[0].pinned?.contains("If") == true)
  }

  @Test(arguments: [[0: []], [0: [1, 1]], [0: [8]], [0: [-1]], [9: [0]]] as [[Int: [Int]]])
  func choicesThatMakeNoSenseAreRefused(keeping: [Int: [Int]]) throws {
    let groups = try ChannelGroups(ModelBuilder.residual(seed: 1))
    let error = #expect(throws: SwiftletError.self) { try groups.pruned(keeping: keeping) }
    #expect(error?.code == .badInput)
  }
}
