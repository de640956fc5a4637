// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels
import SwiftletRuntime
import Testing

/// Layers that models round to bf16 by `Cast`, in sessions of fp32.
struct BFloatCastTests {
  /// The graph in which every `step`th layer reads rounded values, and has rounded weights.
  private func rounding(_ graph: Graph, every step: Int = 1) -> Graph {
    var (result, layers) = (graph, 0)
    result.nodes = graph.nodes.flatMap { node -> [Node] in
      guard ["Conv", "Gemm", "MatMul"].contains(node.opType),
        let weights = graph.initializers[node.inputs[1]]?.typed(as: Float.self),
        graph.initializers[node.inputs[0]] == nil
      else { return [node] }
      layers += 1
      guard layers % step == 0 else { return [node] }
      var layer = node
      let names = ["16", "32", "w", "v"].map { "\(node.outputs[0]).\($0)" }
      result.initializers[names[2]] = .float32(weights.map(\.roundedToBFloat))
      layer.inputs[0] = names[1]
      layer.inputs[1] = names[3]
      return [
        SwiftletRuntimeTests.node("Cast", [node.inputs[0]], names[0], ["to": .int(16)]),
        SwiftletRuntimeTests.node("Cast", [names[0]], names[1], ["to": .int(1)]),
        SwiftletRuntimeTests.node("Cast", [names[2]], names[3], ["to": .int(1)]), layer,
      ]
    }
    return result
  }

  /// The last bit of a sum decides to which side a value is rounded, 2⁻⁸ of it: what that comes to
  /// is told by the same model in fp32.
  @Test(arguments: 0..<160)
  func sessionsDoWhatTheReferenceDoes(seed: Int) throws {
    let plain = RandomGraph.make(seed: UInt64(4000 + seed), onlyLowered: false)
    let graph = rounding(plain, every: 1 + seed % 3)
    let (reference, exact) = (try Interpreter(graph), try Interpreter(plain))
    let sessions = try [1, 2].map { try Session(graph, threads: Threads(count: $0)) }
    for batch in [1, 3] {
      let input = try ["x": randomInput(graph, batch: batch)]
      let expected = try reference.run(input, ExecutionContext())
      let whole = try exact.run(input, ExecutionContext())
      for session in sessions {
        let results = try session.run(input)
        for name in graph.outputs.map(\.name) {
          let error = difference(results[name]!, expected[name]!)
          let bound = 1e-4 + difference(whole[name]!, expected[name]!)
          #expect(error <= bound, "batch \(batch): \(name)\n\(graph.listing)")
        }
      }
    }
  }

  private let convolutions = model(
    [value("x", .float32, .symbolic("N"), .fixed(3), .fixed(12), .fixed(12))],
    [
      node("Conv", ["x", "w1", "b1"], "a", ["strides": .ints([2, 2])]),
      node("Relu", ["a"], "b"),
      node("MaxPool", ["b"], "c", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]),
      node("Conv", ["c", "w2"], "d"),
      node("Flatten", ["d"], "e"),
      node("Gemm", ["e", "w3"], "y", ["transB": .int(1)]),
    ],
    [
      "w1": floats([8, 3, 3, 3]), "b1": floats([8]), "w2": floats([16, 8, 1, 1], seed: 2),
      "w3": floats([10, 64], seed: 3),
    ], outputs: [value("y", .float32, .symbolic("N"), .fixed(10))])

  /// Rounded values come from the layer before, and nothing is done twice.
  @Test func roundedLayersMultiplyBFloats() throws {
    let x = floats([2, 3, 12, 12])
    let session = try Session(rounding(convolutions), threads: .serial)
    let kinds = try session.computations(["x": x]).map(\.kind)
    #expect(kinds.count { $0 == .weighted(.product(.bfloat)) } == 3, "\(kinds)")
    #expect(kinds.count == 5, "no more than these, an input and an output: \(kinds)")
  }

  /// One layer: all but the order of sums is the same.
  @Test func oneLayerIsExactButForSums() throws {
    let graph = rounding(
      model(
        [value("x", .float32, .symbolic("N"), .fixed(67))], [node("Gemm", ["x", "w"], "y")],
        ["w": floats([67, 9])], outputs: [value("y", .float32, .symbolic("N"), .fixed(9))]))
    let x = ["x": floats([5, 67], seed: 8)]
    let expected = try Interpreter(graph).run(x, ExecutionContext())["y"]!
    #expect(try difference(Session(graph).run(x)["y"]!, expected) < 1e-6)
  }

  /// Pools of rounded values, of an even and an odd number of channels, in memory that was used
  /// before.
  @Test(arguments: [1, 3, 4])
  func roundedValuesArePooled(channels: Int) throws {
    let halves = floats([8, channels, 1, 1], seed: 2).typed(as: Float.self)!
      .map(\.roundedToBFloat)
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(channels), .fixed(8), .fixed(8))],
      [
        node("Conv", ["x", "k"], "h"), node("Relu", ["h"], "r"),
        node("Cast", ["r"], "a", ["to": .int(16)]), node("Cast", ["a"], "b", ["to": .int(1)]),
        node("MaxPool", ["b"], "c", ["kernel_shape": .ints([3, 3]), "strides": .ints([1, 1])]),
        node("Conv", ["c", "w"], "y"),
      ],
      [
        "k": floats([channels, channels, 1, 1], seed: 5), "w": .float32(halves),
      ],
      outputs: [value("y", .float32, .symbolic("N"), .fixed(8), .fixed(6), .fixed(6))])
    let session = try Session(graph, threads: .serial)
    for (seed, factor) in [(3, Float.greatestFiniteMagnitude), (4, 1)] as [(UInt64, Float)] {
      let x = floats([2, channels, 8, 8], seed: seed).typed(as: Float.self)!.map { $0 * factor }
      let result = try session.run(["x": .float32(x)])["y"]!
      guard factor == 1 else { continue }
      let expected = try Interpreter(graph).run(["x": .float32(x)], ExecutionContext())["y"]!
      #expect(difference(result, expected) < 0.01)
    }
  }

  /// A layer of fp32 stays one if only its input is rounded, or only its weights; so does a sum
  /// whose result is.
  @Test func halfRoundedLayersAreFloats() throws {
    let weights = floats([16, 16])
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(16))],
      [
        node("Cast", ["x"], "a", ["to": .int(16)]), node("Cast", ["a"], "b", ["to": .int(1)]),
        node("Gemm", ["b", "w"], "c"), node("Add", ["c", "x"], "d"),
        node("Cast", ["d"], "e", ["to": .int(16)]), node("Cast", ["e"], "f", ["to": .int(1)]),
        node("Gemm", ["f", "w"], "y"),
      ], ["w": weights], outputs: [value("y", .float32, .symbolic("N"), .fixed(16))])
    let x = ["x": floats([3, 16], seed: 2)]
    let session = try Session(graph, threads: .serial)
    let kinds = try session.computations(x).map(\.kind)
    #expect(!kinds.contains(.weighted(.product(.bfloat))), "\(kinds)")
    #expect(!kinds.contains(.addBF16), "\(kinds)")
    let expected = try Interpreter(graph).run(x, ExecutionContext())["y"]!
    #expect(try difference(session.run(x)["y"]!, expected) < 1e-6)
  }
}
