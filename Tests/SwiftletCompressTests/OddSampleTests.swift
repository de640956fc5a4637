// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

/// Samples that make values NaN or infinite, by design or by mistake: the others calibrate.
struct OddSampleTests {
  private func normal(_ shape: Shape, seed: UInt64) -> Tensor<Float> {
    var generator = RandomGenerator(seed: seed)
    return Tensor(shape, normalUsing: &generator)
  }

  /// Scores that are masked with −∞, and their shares: of a row that is masked as a whole, NaN.
  private var masked: Graph {
    func info(_ name: String, _ type: DType) -> ValueInfo {
      ValueInfo(name, type, [.symbolic("N"), .fixed(16)])
    }
    var graph = Graph(
      name: "masked", inputs: [info("x", .float32), info("m", .bool)],
      outputs: [info("o", .float32)])
    graph.initializers = [
      "w": .float32(normal([16, 16], seed: 1)), "n": .float32(Tensor(.scalar, [-.infinity])),
    ]
    graph.nodes = [
      Node("MatMul", name: "first", inputs: ["x", "w"], outputs: ["a"]),
      Node("Where", name: "mask", inputs: ["m", "a", "n"], outputs: ["s"]),
      Node("Softmax", name: "shares", inputs: ["s"], outputs: ["z"]),
      Node("MatMul", name: "second", inputs: ["z", "w"], outputs: ["o"]),
    ]
    return graph
  }

  private func settings(_ rounding: WeightRounding = .nearest) -> QuantizationSettings {
    var settings = QuantizationSettings()
    settings.observer = .minmax
    settings.rounding = rounding
    return settings
  }

  private func scale(_ graph: Graph, _ value: String) throws -> Float {
    try #require(graph.initializers["\(value).scale"]).require(Float.self).elements[0]
  }

  /// The model is that of the other samples, whatever is done with them.
  @Test(arguments: [WeightRounding.nearest, .gptq, .adaround])
  func rowsThatAreMaskedDoNotCount(rounding: WeightRounding) throws {
    let graph = masked
    let x = normal([24, 16], seed: 2)
    func source(_ rows: [Int]) throws -> CalibrationSource {
      let mask = rows.flatMap { row in (0..<16).map { row != 3 && (row + $0) % 3 > 0 } }
      let values = rows.flatMap { x.slice(axis: 0, range: $0..<$0 + 1).elements }
      return try CalibrationSource(
        [
          "x": .float32(Tensor([rows.count, 16], values)),
          "m": .bool(Tensor([rows.count, 16], mask)),
        ], for: graph)
    }
    let all = try source(Array(0..<24))
    let result = try Quantizer(settings(rounding)).apply(to: graph, all)
    let others = try Quantizer(settings(rounding)).apply(
      to: graph, source((0..<24).filter { $0 != 3 }))
    #expect(result.layers.allSatisfy { $0.changed } && result.layers.count == 2)
    #expect(try scale(result.graph, "z") == scale(others.graph, "z"))
    let agreement = try Agreement.measure(graph, result.graph, all)
    #expect(agreement.decibels > 25 && agreement.outputs[0].undefined == 16)
    #expect(agreement.outputs[0].broken == 0)
    let sensitivity = try Sensitivity.measure(graph, settings(), all)
    #expect(sensitivity.layers.count == 2)
  }

  private var plain: Graph {
    var model = ModelBuilder(seed: 3, input: [8, 4, 4])
    model.conv("x", "a", (8, 8))
    model.node("Relu", ["a"], "b")
    model.conv("b", "y", (8, 4))
    model.output("y", [4, 4, 4])
    return model.graph
  }

  @Test(arguments: [.nan, .infinity, -.infinity] as [Float])
  func oneBadSampleDoesNotStopTheOthers(value: Float) throws {
    let graph = plain
    var elements = normal([24, 8, 4, 4], seed: 4).elements
    for i in 0..<128 { elements[5 * 128 + i] = value }
    let bad = try CalibrationSource(
      ["x": .float32(Tensor([24, 8, 4, 4], elements))], for: graph)
    elements.removeSubrange(5 * 128..<6 * 128)
    let good = try CalibrationSource(
      ["x": .float32(Tensor([23, 8, 4, 4], elements))], for: graph)
    let (first, second) = (
      try Quantizer(settings()).apply(to: graph, bad).graph,
      try Quantizer(settings()).apply(to: graph, good).graph
    )
    #expect(try scale(first, "x") == scale(second, "x"))
    #expect(try scale(first, "b") == scale(second, "b"))
    #expect(try Agreement.measure(graph, first, good).decibels > 25)
  }

  @Test func valuesWithoutAnyNumberAreRefused() throws {
    let graph = plain
    let source = try CalibrationSource(
      ["x": .float32(Tensor([3, 8, 4, 4], repeating: .nan))], for: graph)
    expectError(.numerical, "starting with sample 0 (value 'x')") {
      try Quantizer(settings()).apply(to: graph, source)
    }
    expectError(.numerical, "--keep") { try Quantizer(settings()).apply(to: graph, source) }
  }
}
