// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletGraph
import Testing

struct SampleTests {
  private func normal(_ shape: Shape) -> AnyTensor {
    var generator = RandomGenerator(seed: 4)
    return .float32(Tensor(shape, normalUsing: &generator))
  }

  /// y = x · k, with x as samples of 4 and k as given.
  private func product(_ batch: Dimension, _ k: [Dimension], type: DType = .float32) -> Graph {
    var graph = Graph(name: "product")
    graph.inputs = [ValueInfo("x", .float32, [batch, .fixed(4)]), ValueInfo("k", type, k)]
    graph.outputs = [ValueInfo("y", .float32, [batch, .fixed(4)])]
    graph.nodes = [
      Node("Cast", name: "cast", inputs: ["k"], outputs: ["c"], attributes: ["to": .int(1)]),
      Node(
        "ReduceSum", name: "sum", inputs: ["c"], outputs: ["s"], attributes: ["keepdims": .int(0)]),
      Node("Mul", name: "mul", inputs: ["x", "s"], outputs: ["y"]),
    ]
    return graph
  }

  private func batches(
    _ graph: Graph, _ arrays: [String: AnyTensor], fixed: [String: FixedInput] = [:],
    limit: Int = .max
  ) throws -> (source: CalibrationSource, seen: [[String: AnyTensor]]) {
    let source = try CalibrationSource(arrays, for: graph, fixed: fixed, limit: limit)
    var seen: [[String: AnyTensor]] = []
    let interpreter = try Interpreter(graph)
    try source.forEachBatch { inputs, range in
      seen.append(inputs)
      // What is fed fits the model.
      _ = try interpreter.run(inputs, ExecutionContext())
      #expect(inputs["x"]!.shape.dimensions.contains(range.count))
    }
    return (source, seen)
  }

  @Test func inputsWithoutSamplesAreTheSameForAll() throws {
    let x = normal([24, 4])
    let n = Dimension.symbolic("N")
    let two = AnyTensor.float32(Tensor(.scalar, [2]))
    let scalar = try batches(product(n, []), ["x": x, "k": two])
    #expect(scalar.source.count == 24 && scalar.seen.count == 1 && scalar.seen[0]["k"] == two)
    // A size of two elements is not two samples.
    let size = AnyTensor.int64(Tensor([2], [10, 10]))
    let sized = try batches(product(n, [.fixed(2)], type: .int64), ["x": x, "k": size])
    #expect(sized.source.count == 24 && sized.seen[0]["k"] == size)
    // One for each sample, all alike.
    let each = AnyTensor.float32(Tensor([24], repeating: 2))
    let repeated = try batches(product(n, []), ["x": x, "k": each])
    #expect(repeated.seen.count == 1 && repeated.seen[0]["k"] == two)
    let tiled = AnyTensor.int64(Tensor([24, 2], repeating: 10))
    #expect(
      try batches(product(n, [.fixed(2)], type: .int64), ["x": x, "k": tiled]).seen[0]["k"] == size)
    // One for each sample, all different: one at a time.
    let own = AnyTensor.float32(Tensor([24], (0..<24).map(Float.init)))
    let single = try batches(product(n, []), ["x": x, "k": own])
    #expect(single.seen.count == 24)
    #expect(single.seen[7]["k"] == .float32(Tensor(.scalar, [7])))
    // A length that is met elsewhere is not the samples'.
    var graph = product(n, [.symbolic("L")])
    graph.inputs[0].dimensions.append(.symbolic("L"))
    graph.inputs[0].dimensions[1] = .fixed(4)
    let lengths = try batches(graph, ["x": normal([24, 4, 3]), "k": normal([3])])
    #expect(lengths.source.count == 24)
  }

  /// States that have the axis of the samples: one for all of them, one for each, or without that
  /// axis.
  @Test(arguments: [0, 1]) func fixedStatesFollowTheSamples(axis: Int) throws {
    func dimensions() -> [Dimension] {
      var result: [Dimension] = [.fixed(5), .fixed(3)]
      result.insert(.symbolic("batch"), at: axis)
      return result
    }
    func shape(_ samples: Int) -> Shape {
      var result = [5, 3]
      result.insert(samples, at: axis)
      return Shape(result)
    }
    var graph = Graph(name: "state")
    graph.inputs = ["x", "h"].map { ValueInfo($0, .float32, dimensions()) }
    graph.outputs = [ValueInfo("y", .float32, dimensions())]
    graph.nodes = [Node("Add", name: "add", inputs: ["x", "h"], outputs: ["y"])]
    let x = normal(shape(24))
    for state in [normal(shape(1)), normal([5, 3])] {
      let result = try batches(graph, ["x": x], fixed: ["h": .array(state)])
      let seen: Tensor<Float> = try result.seen[0]["h"]!.require()
      #expect(result.source.count == 24 && seen.shape == shape(24))
      for sample in [0, 7, 23] {
        let own = seen.slice(axis: axis, range: sample..<sample + 1)
        #expect(try own.elements == state.require(Float.self).elements)
      }
    }
    let each = normal(shape(24))
    let divided = try batches(graph, ["x": x], fixed: ["h": .array(each)])
    #expect(divided.seen[0]["h"] == each)
    // A part of the samples has its part of the states.
    let part = try CalibrationSource(["x": x], for: graph, fixed: ["h": .array(each)]).part(6..<9)
    var states: [AnyTensor] = []
    try part.forEachBatch { inputs, _ in states.append(inputs["h"]!) }
    let wanted = try each.require(Float.self).slice(axis: axis, range: 6..<9).elements
    #expect(try states.flatMap { try $0.require(Float.self).elements } == wanted)
    // As many numbers as one state has.
    let listed = try batches(
      graph, ["x": x], fixed: ["h": .numbers((0..<15).map(Double.init))])
    #expect(listed.seen[0]["h"]!.shape == shape(24))
    let (one, all) = (axis == 0 ? "1×5×3" : "5×1×3", axis == 0 ? "24×5×3" : "5×24×3")
    expectError(.badInput, "give \(one) for all samples, or \(all) for the 24 samples") {
      try CalibrationSource(["x": x], for: graph, fixed: ["h": .array(normal(shape(18)))])
    }
    expectError(.badInput, "give \(one)") {
      try CalibrationSource(["x": x], for: graph, fixed: ["h": .array(normal([7]))])
    }
  }

  @Test func samplesAreAlongTheAxisThatTheModelNames() throws {
    var graph = Graph(name: "state")
    graph.inputs = [
      ValueInfo("x", .float32, [.fixed(5), .symbolic("batch_size"), .fixed(3)]),
      ValueInfo("h", .float32, [.fixed(5), .symbolic("batch_size"), .fixed(3)]),
    ]
    graph.outputs = [ValueInfo("y", .float32, [.fixed(5), .symbolic("batch_size"), .fixed(3)])]
    graph.nodes = [Node("Add", name: "add", inputs: ["x", "h"], outputs: ["y"])]
    let x = normal([5, 24, 3])
    let all = try batches(graph, ["x": x, "h": x])
    #expect(all.source.count == 24 && all.seen[0]["x"] == x)
    // A number fills an input whose samples are along any axis.
    let zero = try batches(graph, ["x": x], fixed: ["h": .numbers([0])])
    #expect(zero.seen[0]["h"] == .float32(Tensor(zeros: [5, 24, 3])))
    // Without symbols, the axis along which there is more than the model takes.
    for index in graph.inputs.indices { graph.inputs[index].dimensions[1] = .fixed(1) }
    graph.outputs[0].dimensions[1] = .fixed(1)
    let state = try CalibrationSource(["x": x, "h": x], for: graph)
    #expect(state.count == 24 && state.fixedBatch == 1)
    var places: [Shape] = []
    try state.forEachBatch { inputs, _ in places.append(inputs["h"]!.shape) }
    #expect(places == Array(repeating: [5, 1, 3], count: 24))
  }

  @Test func fixedBatchesTakeWholeOnes() throws {
    let graph = product(.fixed(5), [])
    let two = AnyTensor.float32(Tensor(.scalar, [2]))
    let (source, seen) = try batches(graph, ["x": normal([24, 4]), "k": two])
    #expect(source.count == 20 && source.leftOut == 4 && seen.count == 4)
    #expect(try batches(graph, ["x": normal([24, 4]), "k": two], limit: 12).source.count == 10)
    expectError(.badInput, "takes 5 samples at once, but there are only 4") {
      _ = try CalibrationSource(["x": normal([4, 4]), "k": two], for: graph)
    }
  }

  @Test func differentNumbersOfSamplesAreNamed() throws {
    let n = Dimension.symbolic("N")
    let graph = product(n, [n])
    expectError(.badInput, "different numbers of samples: 'x' 24, 'k' 3") {
      _ = try CalibrationSource(["x": normal([24, 4]), "k": normal([3])], for: graph)
    }
    expectError(.badInput, "--fixed k=FILE.npy") {
      _ = try CalibrationSource(["x": normal([24, 4]), "k": normal([3])], for: graph)
    }
    expectError(.badInput, "no input 'z' to fix") {
      _ = try CalibrationSource(
        ["x": normal([24, 4])], for: graph, fixed: ["z": .numbers([1])])
    }
    expectError(.badInput, "3 numbers are fixed for 'k'") {
      _ = try CalibrationSource(
        ["x": normal([24, 4])], for: product(n, [.fixed(2)]), fixed: ["k": .numbers([1, 2, 3])])
    }
  }

  @Test func arraysOfOtherTypesAreConvertedOrRefused() throws {
    let graph = product(.symbolic("N"), [], type: .int64)
    let wide = AnyTensor.float64(Tensor([2, 4], (0..<8).map { Double($0) + 0.1 }))
    func k(_ value: AnyTensor) throws -> AnyTensor? {
      try batches(graph, ["x": wide, "k": value]).seen[0]["k"]
    }
    let seven = AnyTensor.int64(Tensor(.scalar, [7]))
    #expect(try k(.int32(Tensor(.scalar, [7]))) == seven)
    #expect(try k(.float32(Tensor(.scalar, [7]))) == seven)
    expectError(.badInput, "the model's int64 cannot hold") {
      _ = try k(.float32(Tensor(.scalar, [7.5])))
    }
    expectError(.badInput, "the model's float32 cannot hold") {
      _ = try CalibrationSource(
        ["x": .float64(Tensor([1, 4], repeating: 1e300)), "k": seven], for: graph)
    }
  }

  /// Digests do not depend on batches, and tell samples apart.
  @Test func samplesHaveADigest() throws {
    let graph = product(.symbolic("N"), [])
    let two = AnyTensor.float32(Tensor(.scalar, [2]))
    func source(_ x: AnyTensor) throws -> CalibrationSource {
      try CalibrationSource(["x": x, "k": two], for: graph)
    }
    let (one, other) = (
      try source(normal([24, 4])), try source(normal([24, 4, 1]).reshaped([24, 4]))
    )
    let half = try one.digest(0..<12)
    #expect(try one.digest(12..<24, after: half) == other.digest(0..<24))
    guard case .float32(let x) = normal([24, 4]) else { return }
    #expect(try source(.float32(x.map { $0 * 9 })).digest(0..<24) != other.digest(0..<24))
  }
}

extension AnyTensor {
  fileprivate func reshaped(_ shape: Shape) -> AnyTensor {
    guard case .float32(let tensor) = self else { return self }
    return .float32(tensor.reshaped(to: shape))
  }
}
