// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// What is done to a model before its values are rounded: the fp32 model computes the same, the
/// quantized one loses less.
struct RangeBalancingTests {
  private func inputs(_ graph: Graph, count: Int, seed: UInt64, mean: Float = 0) throws
    -> [String: AnyTensor]
  {
    var generator = RandomGenerator(seed: seed)
    let shape = try graph.inputs[0].shape(batch: count)
    let values = Tensor<Float>(shape, normalUsing: &generator).map { $0 + mean }
    return [graph.inputs[0].name: .float32(values)]
  }

  private func answers(_ graph: Graph, mean: Float = 0) throws -> [Float] {
    try Session(graph).run(inputs(graph, count: 40, seed: 2, mean: mean))["y"]!
      .require(Float.self).elements
  }

  private func noise(
    _ graph: Graph, mean: Float = 0, _ change: (inout QuantizationSettings) -> Void
  ) throws -> (power: Double, bias: Double) {
    var settings = QuantizationSettings()
    settings.biasCorrection = false
    change(&settings)
    let source = try CalibrationSource(
      inputs(graph, count: 100, seed: 1, mean: mean), for: graph)
    let result = try StaticQuantization(settings: settings).apply(to: graph, source).graph
    let (x, y) = (try answers(graph, mean: mean), try answers(result, mean: mean))
    let errors = zip(x, y).map { Double($1 - $0) }
    // Outputs are N×3×6×6 where the shift of channels is asked for.
    let shifts = (0..<3).map { channel in
      errors.indices.reduce(0.0) { $0 + ($1 / 36 % 3 == channel ? errors[$1] : 0) }
    }
    return (
      errors.reduce(0) { $0 + $1 * $1 },
      shifts.reduce(0) { $0 + abs($1) } / Double(errors.count)
    )
  }

  /// Channels of the first layer differ by a factor of 500, which the second layer makes up for.
  private var uneven: Graph {
    var model = ModelBuilder(seed: 6, input: [4, 6, 6])
    model.conv("x", "a", (4, 8))
    model.node("Relu", ["a"], "b")
    model.conv("b", "c", (8, 8), groups: 8)
    model.node("Relu", ["c"], "d")
    model.conv("d", "e", (8, 6))
    model.node("Relu", ["e"], "f")
    model.node("MaxPool", ["f"], "g", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    model.node("Flatten", ["g"], "h")
    model.gemm("h", "y", (54, 5))
    model.output("y", [5])
    func scale(_ name: String, _ factor: (Int) -> Float) {
      let tensor = model.graph.initializers[name]!.typed(as: Float.self)!
      model.graph.initializers[name] = .float32(
        Tensor(tensor.shape, tensor.elements.enumerated().map { $1 * factor($0) }))
    }
    func size(_ channel: Int) -> Float { [1, 0.02, 10, 0.1, 1, 5, 0.05, 0.5][channel] }
    scale("c.w") { size($0 / 9) }
    scale("c.b") { size($0) }
    scale("e.w") { 1 / size($0 / 9 % 8) }
    return model.graph
  }

  @Test func equalizedLayersComputeTheSameAndLoseLess() throws {
    let graph = uneven
    var infos: [String: TensorInfo] = [:]
    _ = try Interpreter(graph).run(inputs(graph, count: 2, seed: 1), ExecutionContext()) {
      infos[$0] = TensorInfo($1.dtype, $1.shape)
    }
    infos["x"] = TensorInfo(.float32, [2, 4, 6, 6])
    let (equalized, pairs) = try CrossLayerEqualization().apply(to: graph, infos)
    #expect(pairs == 3)
    let (x, y) = (try answers(graph), try answers(equalized))
    let largest = x.reduce(0) { max($0, abs($1)) }
    for (a, b) in zip(x, y) { #expect(abs(a - b) < 1e-5 * largest) }
    let (plain, better) = (try noise(graph) { _ in }, try noise(graph) { $0.equalize = true })
    #expect(better.power < 0.5 * plain.power)
  }

  @Test func smoothedEncodersLoseLess() throws {
    let graph = ModelBuilder.encoder(seed: 5)
    let (plain, better) = (try noise(graph) { _ in }, try noise(graph) { $0.smoothing = 0.5 })
    #expect(better.power < 0.5 * plain.power)
  }

  /// With few bits and inputs far from 0, rounded weights shift whole channels.
  @Test func correctedBiasesTakeTheShiftBack() throws {
    var model = ModelBuilder(seed: 6, input: [4, 6, 6])
    model.conv("x", "a", (4, 4), kernel: 1)
    model.node("Relu", ["a"], "b")
    model.conv("b", "y", (4, 3), kernel: 1)
    model.output("y", [3, 6, 6])
    func shift(_ corrects: Bool) throws -> Double {
      try noise(model.graph, mean: 3) {
        $0.bits = 4
        $0.biasCorrection = corrects
      }.bias
    }
    let (corrected, plain) = (try shift(true), try shift(false))
    #expect(corrected < 0.5 * plain)
  }

  /// As in a post-LN encoder: what is normalized goes on to a sum too. The normalization is one
  /// operator, or a product and a sum with constants.
  private func postNormalized(isOneOperator: Bool, sums: Bool) -> Graph {
    var model = ModelBuilder(seed: 5, input: [6, 16])
    model.graph.initializers["gamma"] = .float32(
      Tensor([16], (0..<16).map { $0 == 3 ? 40 : 1 }))
    model.graph.initializers["beta"] = .float32(Tensor([16], repeating: 0.1))
    if isOneOperator {
      model.node("LayerNormalization", ["x", "gamma", "beta"], "l")
    } else {
      model.node("Mul", ["x", "gamma"], "m")
      model.node("Add", ["m", "beta"], "l")
    }
    model.weights("w1", [16, 32], size: 0.3)
    model.node("MatMul", ["l", "w1"], "a")
    model.node("Tanh", ["a"], "b")
    model.weights("w2", [32, 16])
    model.node("MatMul", ["b", "w2"], sums ? "c" : "y")
    if sums { model.node("Add", ["c", "l"], "y") }
    model.output("y", [6, 16])
    return model.graph
  }

  @Test(arguments: [true, false], [true, false])
  func smoothingReachesEveryEncoder(isOneOperator: Bool, sums: Bool) throws {
    let graph = postNormalized(isOneOperator: isOneOperator, sums: sums)
    let source = try CalibrationSource(inputs(graph, count: 60, seed: 1), for: graph)
    func result(_ smoothing: Double?) throws -> (decibels: Double, products: Int) {
      var settings = QuantizationSettings()
      settings.smoothing = smoothing
      // What the sum reads is quantized in either case.
      let quantized = try StaticQuantization(settings: settings).apply(to: graph, source).graph
      let plain = try Agreement.measure(graph, quantized, source).decibels
      return (plain, quantized.nodes.count { $0.opType == "Mul" })
    }
    let (plain, smooth) = (try result(nil), try result(0.5))
    #expect(smooth.decibels > plain.decibels + 5, "\(smooth) \(plain)")
    // A product of its own where somebody else reads the value, none where its factors take it in.
    #expect(smooth.products == plain.products + (sums ? 1 : 0))
  }
}
