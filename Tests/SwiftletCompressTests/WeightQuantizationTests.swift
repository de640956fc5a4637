// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
import SwiftletCompress
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import Testing

struct WeightQuantizationTests {
  private func inputs(_ graph: Graph, count: Int, seed: UInt64) throws -> [String: AnyTensor] {
    var generator = RandomGenerator(seed: seed)
    let shape = try graph.inputs[0].shape(batch: count)
    let plain = Tensor<Float>(shape, normalUsing: &generator)
    // Neighbours that resemble each other, as those of images do: moments say something.
    var elements = plain.elements
    for i in 1..<elements.count { elements[i] = 0.8 * elements[i - 1] + 0.6 * elements[i] }
    return [graph.inputs[0].name: .float32(Tensor(shape, elements))]
  }

  private func settings(_ change: (inout QuantizationSettings) -> Void) -> QuantizationSettings {
    var settings = QuantizationSettings()
    settings.mode = .weightOnly
    change(&settings)
    return settings
  }

  private func quantize(
    _ graph: Graph, _ change: (inout QuantizationSettings) -> Void
  ) throws -> Graph {
    try WeightQuantization(settings: settings(change)).apply(
      to: graph, CalibrationSource(inputs(graph, count: 64, seed: 1), for: graph)
    ).graph
  }

  private func noise(_ graph: Graph, _ other: Graph) throws -> Double {
    let inputs = try inputs(graph, count: 32, seed: 2)
    let name = graph.outputs[0].name
    let x = try Session(graph).run(inputs)[name]!.require(Float.self).elements
    let y = try Session(other).run(inputs)[name]!.require(Float.self).elements
    let error = zip(x, y).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    return error / x.reduce(0.0) { $0 + Double($1 * $1) }
  }

  @Test(arguments: [(8, 0, 1e-4), (8, 8, 1e-4), (7, 0, 5e-4), (4, 0, 0.05), (4, 8, 0.03)])
  func groupsShareScales(bits: Int, groupSize: Int, most: Double) throws {
    for graph in [ModelBuilder.residual(seed: 3), ModelBuilder.encoder(seed: 3)] {
      let result = try quantize(graph) {
        $0.bits = bits
        $0.groupSize = groupSize
      }
      #expect(try noise(graph, result) < most)
      let weights = result.initializers.values.filter {
        $0.dtype == (bits == 4 ? .int4 : .int8) && $0.shape.rank > 1
      }
      #expect(
        weights.count == graph.nodes.count { ["Conv", "Gemm", "MatMul"].contains($0.opType) })
      #expect(!result.nodes.contains { $0.opType == "QuantizeLinear" })
      // The reference restores the same weights that sessions compute with.
      let inputs = try inputs(graph, count: 4, seed: 5)
      let plain = try Interpreter(result).run(inputs, ExecutionContext())["y"]!.require(Float.self)
      let session = try Session(result).run(inputs)["y"]!.require(Float.self)
      for (a, b) in zip(plain.elements, session.elements) { #expect(abs(a - b) < 1e-4) }
    }
  }

  /// Both look at what comes in: with correlated inputs they lose less than rounding does.
  @Test(arguments: [WeightRounding.adaround, .gptq], [0, 8])
  func waysThatLookAtTheInputsLoseLess(way: WeightRounding, groupSize: Int) throws {
    var model = ModelBuilder(seed: 8, input: [8, 6, 6])
    model.conv("x", "y", (8, 24))
    model.output("y", [24, 6, 6])
    var flat = ModelBuilder(seed: 9, input: [40])
    flat.gemm("x", "y", (40, 24))
    flat.output("y", [24])
    for graph in [model.graph, flat.graph] {
      func result(_ rounding: WeightRounding) throws -> Double {
        try noise(
          graph,
          quantize(graph) {
            $0.bits = 4
            $0.groupSize = groupSize
            $0.rounding = rounding
          })
      }
      let (nearest, other) = (try result(.nearest), try result(way))
      #expect(other < 0.9 * nearest, "\(graph.nodes[0].opType): \(other) of \(nearest)")
    }
  }

  /// Inputs that are all equal, or all 0, leave nothing to invert; both ways go on.
  @Test(arguments: [WeightRounding.adaround, .gptq], [0, 1] as [Float])
  func momentsWithoutRankAreNoTrap(way: WeightRounding, value: Float) throws {
    var model = ModelBuilder(seed: 9, input: [12])
    model.gemm("x", "y", (12, 5))
    model.output("y", [5])
    let source = try CalibrationSource(
      ["x": .float32(Tensor([4, 12], repeating: value))], for: model.graph)
    let result = try WeightQuantization(
      settings: settings {
        $0.bits = 4
        $0.rounding = way
      }
    ).apply(to: model.graph, source)
    #expect(try noise(model.graph, result.graph) < 0.2)
  }

  @Test func dynamicRangesFollowTheInput() throws {
    let graph = ModelBuilder.encoder(seed: 3)
    let source = try CalibrationSource(inputs(graph, count: 4, seed: 1), for: graph)
    let result = try DynamicQuantization(settings: QuantizationSettings()).apply(
      to: graph, source)
    #expect(result.graph.nodes.count { $0.opType == "MatMulInteger" } == 2)
    #expect(try noise(graph, result.graph) < 1e-3)
    // onnxruntime wants different names.
    #expect(Set(result.graph.nodes.map(\.name)).count == result.graph.nodes.count)
    var model = ModelBuilder(seed: 2, input: [3, 4, 4])
    model.conv("x", "y", (3, 2))
    model.output("y", [2, 4, 4])
    // Convolutions compute in fp32; their weights are stored as bytes.
    let stored = try DynamicQuantization(settings: QuantizationSettings()).apply(
      to: model.graph, nil)
    #expect(stored.graph.nodes.map(\.opType) == ["DequantizeLinear", "Conv"])
    #expect(stored.layers.map(\.changed) == [true])
    #expect(try noise(model.graph, stored.graph) < 1e-3)
    let empty = Graph(
      name: "g", nodes: [Node("Relu", name: "r", inputs: ["x"], outputs: ["y"])],
      inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(3)])],
      outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(3)])])
    let error = #expect(throws: SwiftletError.self) {
      try DynamicQuantization(settings: QuantizationSettings()).apply(to: empty, nil)
    }
    #expect(error?.code == .unsupported)
  }

  @Test func dynamicGemmKeepsItsBias() throws {
    var model = ModelBuilder(seed: 9, input: [12])
    model.gemm("x", "y", (12, 5))
    model.output("y", [5])
    let source = try CalibrationSource(inputs(model.graph, count: 4, seed: 1), for: model.graph)
    let result = try DynamicQuantization(settings: QuantizationSettings()).apply(
      to: model.graph, source)
    #expect(try noise(model.graph, result.graph) < 1e-3)
  }
}
