// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels
import SwiftletRuntime
import Testing

/// Sessions in bf16 give what the reference gives in fp32, within what bf16 can distinguish.
struct BFloatSessionTests {
  /// The graph with weights that bf16 holds: how much its results move says how much rounding may
  /// do.
  private static func rounded(_ graph: Graph) -> Graph {
    var graph = graph
    for (name, tensor) in graph.initializers {
      guard let weights = tensor.typed(as: Float.self), weights.shape.rank > 1 else { continue }
      graph.initializers[name] = .float32(
        weights.map { Float(bitPattern: ($0.bitPattern &+ 0x8000) & 0xffff_0000) })
    }
    return graph
  }

  /// Several layers' errors add up, each below 2⁻⁷ of its terms; where these cancel, weights that
  /// are rounded change the reference's results as well.
  @Test(arguments: 0..<320)
  func isNearTheReference(seed: Int) throws {
    let graph = RandomGraph.make(seed: UInt64(seed), onlyLowered: false)
    let (reference, rounded) = (try Interpreter(graph), try Interpreter(Self.rounded(graph)))
    let sessions = try [1, 2].map {
      try Session(graph, threads: Threads(count: $0), precision: .bf16)
    }
    var wrong: [String] = []
    for batch in [1, 3, 8] {
      let input = try ["x": randomInput(graph, batch: batch)]
      let expected = try reference.run(input, ExecutionContext())
      let moved = try rounded.run(input, ExecutionContext())
      for (index, session) in sessions.enumerated() {
        let results = try session.run(input)
        for name in graph.outputs.map(\.name) {
          let error = difference(results[name]!, expected[name]!)
          let bound = 0.02 + 4 * difference(moved[name]!, expected[name]!)
          if !(error <= bound) {
            wrong.append("batch \(batch), \(index + 1) threads: \(name) is off by \(error)")
          }
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))\n\(graph.listing)")
  }

  /// Results do not depend, bit for bit, on how images are batched and shared by threads.
  @Test(arguments: 0..<120)
  func batchesAndThreadsDoNotMatter(seed: Int) throws {
    let graph = RandomGraph.make(seed: UInt64(2000 + seed), onlyLowered: true)
    try checkBatchesAndThreadsDoNotMatter(graph, .bf16, batches: [1, 2, 5])
  }

  /// One layer, two factors rounded by 2⁻⁸ at most: |error| ≤ (2⁻⁷ + 2⁻¹⁶ + (k+2) · 2⁻²³) · Σ|a·b|,
  /// and the reference's own error.
  @Test(arguments: 0..<60)
  func oneLayerKeepsTheBound(seed: Int) throws {
    var numbers = RandomGenerator(seed: UInt64(seed))
    let channels = [1, 2, 3, 5, 16, 33][numbers.below(6)]
    let filters = [1, 2, 7, 16, 33][numbers.below(5)]
    let kernel = 1 + numbers.below(4)
    func made(_ shape: Shape) -> Tensor<Float> { Tensor(shape, normalUsing: &numbers) }
    // Two pixels further, so that Winograd's filtering has no part in it.
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(channels), .fixed(9), .fixed(8))],
      [node("Conv", ["x", "w", "b"], "y", ["strides": .ints([2, 1])])],
      [
        "w": .float32(made([filters, channels, kernel, kernel])),
        "b": .float32(made([filters])),
      ], outputs: [value("y", .float32, .symbolic("N"), .fixed(filters), .fixed(5), .fixed(5))])
    let x = made([2, channels, 9, 8])
    func size(_ tensor: AnyTensor?) -> AnyTensor {
      .float32(tensor!.typed(as: Float.self)!.map(abs))
    }
    var sizes = graph
    for name in ["w", "b"] { sizes.initializers[name] = size(graph.initializers[name]) }
    func reference(_ graph: Graph, _ x: AnyTensor) throws -> [Float] {
      try Interpreter(graph).run(["x": x], ExecutionContext())["y"]!.typed(as: Float.self)!.elements
    }
    let exact = try reference(graph, .float32(x))
    let magnitudes = try reference(sizes, size(.float32(x)))
    let results = try Session(graph, precision: .bf16).run(["x": .float32(x)])["y"]!
      .typed(as: Float.self)!.elements
    let terms = Float(channels * kernel * kernel + 2)
    let bound = 0x1p-7 + 0x1p-16 + 2 * terms * 0x1p-23
    for index in exact.indices {
      #expect(abs(results[index] - exact[index]) <= bound * magnitudes[index])
    }
  }

  /// What the steps of a model compute.
  private func kinds(_ graph: Graph, _ input: AnyTensor) throws -> [Computation.Kind] {
    try Session(graph, threads: .serial, precision: .bf16).computations(["x": input]).map(\.kind)
  }

  /// Between convolutions, through pools, sums and depthwise convolutions, values stay bf16.
  @Test func valuesStayBF16() throws {
    let pads: Attribute = .ints([1, 1, 1, 1])
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(3), .fixed(12), .fixed(12))],
      [
        node("Conv", ["x", "w1", "b1"], "a", ["pads": pads, "strides": .ints([2, 2])]),
        node("Relu", ["a"], "b"),
        node("Conv", ["b", "w2"], "c"),
        node("Clip", ["c", "low", "high"], "d"),
        node("Conv", ["d", "w3"], "e", ["pads": pads, "group": .int(16)]),
        node("Conv", ["e", "w4"], "f"),
        node("Add", ["b", "f"], "g"),
        node("MaxPool", ["g"], "h", ["kernel_shape": .ints([2, 2])]),
        node("Conv", ["h", "w2"], "i"),
        node("GlobalAveragePool", ["i"], "j"),
        node("Flatten", ["j"], "k"),
        node("Gemm", ["k", "w5"], "y", ["transB": .int(1)]),
      ],
      [
        "w1": floats([8, 3, 3, 3]), "b1": floats([8]), "w2": floats([16, 8, 1, 1], seed: 2),
        "w3": floats([16, 1, 3, 3], seed: 3), "w4": floats([8, 16, 1, 1], seed: 4),
        "w5": floats([10, 16], seed: 5), "low": scalar(0), "high": scalar(6),
      ], outputs: [value("y", .float32, .symbolic("N"), .fixed(10))])
    let x = floats([3, 3, 12, 12])
    let kinds = try kinds(graph, x)
    // The means are fp32.
    #expect(kinds.count { $0 == .f32ToBF16 } == 1, "\(kinds)")
    #expect(kinds.count { $0 == .weighted(.product(.bfloat)) } == 5, "\(kinds)")
    #expect(kinds.contains(.weighted(.depthwise(.bfloat))), "\(kinds)")
    let expected = try Interpreter(graph).run(["x": x], ExecutionContext())["y"]!
    #expect(try difference(Session(graph, precision: .bf16).run(["x": x])["y"]!, expected) < 0.02)
  }

  /// A value that is an output, or that other layers read, is fp32 for them.
  @Test func otherReadersGetFloats() throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(4))],
      [
        node("Gemm", ["x", "w"], "a"), node("Gemm", ["a", "w"], "b"),
        node("Softmax", ["a"], "c"), node("Gemm", ["c", "w"], "y"),
      ], ["w": floats([4, 4])],
      outputs: [
        value("y", .float32, .symbolic("N"), .fixed(4)),
        value("b", .float32, .symbolic("N"), .fixed(4)),
        value("a", .float32, .symbolic("N"), .fixed(4)),
      ])
    let x = floats([2, 4])
    let kinds = try kinds(graph, x)
    #expect(kinds.count { $0 == .f32ToBF16 } == 2, "\(kinds)")
    #expect(!kinds.contains(.bf16ToF32), "\(kinds)")
    let results = try Session(graph, precision: .bf16).run(["x": x])
    for (name, expected) in try Interpreter(graph).run(["x": x], ExecutionContext()) {
      #expect(difference(results[name]!, expected) < 0.02)
    }
  }

  /// Padding beside an odd number of channels never reaches a sum, whatever lay there before.
  @Test func notANumberStaysWhereItIs() throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(3), .fixed(4), .fixed(4))],
      [node("Conv", ["x", "w"], "y", ["strides": .ints([2, 2])])],
      ["w": floats([5, 3, 2, 2])],
      outputs: [value("y", .float32, .symbolic("N"), .fixed(5), .fixed(2), .fixed(2))])
    var elements = floats([1, 3, 4, 4]).typed(as: Float.self)!.elements
    elements[0] = .nan
    let y = try Session(graph, precision: .bf16).run(Tensor([1, 3, 4, 4], elements)).elements
    for (index, value) in y.enumerated() { #expect(value.isNaN == (index % 4 == 0)) }
  }
}
