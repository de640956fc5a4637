// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
import SwiftletCompress
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import Synchronization
import Testing
import _SwiftletTestSupport

struct StaticQuantizationTests {
  private func inputs(_ graph: Graph, count: Int, seed: UInt64) throws -> [String: AnyTensor] {
    var generator = RandomGenerator(seed: seed)
    let shape = try graph.inputs[0].shape(batch: count)
    return [graph.inputs[0].name: .float32(Tensor(shape, normalUsing: &generator))]
  }

  private func quantize(
    _ graph: Graph, samples: Int = 40, _ change: (inout QuantizationSettings) -> Void = { _ in }
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var settings = QuantizationSettings()
    change(&settings)
    return try StaticQuantization(settings: settings).apply(
      to: graph, CalibrationSource(inputs(graph, count: samples, seed: 1), for: graph))
  }

  /// Signal to noise of the quantized answers, in dB.
  private func fidelity(_ graph: Graph, _ quantized: Graph) throws -> Double {
    let inputs = try inputs(graph, count: 20, seed: 2)
    let name = graph.outputs[0].name
    let x = try Session(graph).run(inputs)[name]!.require(Float.self).elements
    let y = try Session(quantized).run(inputs)[name]!.require(Float.self).elements
    let noise = zip(x, y).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    return 10 * Double.log10(x.reduce(0.0) { $0 + Double($1 * $1) } / noise)
  }

  private func scale(_ graph: Graph, of value: String) throws -> [Float] {
    let node = try #require(
      graph.nodes.first { $0.opType == "QuantizeLinear" && $0.inputs[0] == value })
    return try #require(graph.initializers[node.inputs[1]]).require(Float.self).elements
  }

  @Test(arguments: RangeObserver.allCases, ActivationType.allCases)
  func answersStayClose(observer: RangeObserver, activations: ActivationType) throws {
    for (graph, least) in [
      (ModelBuilder.residual(seed: 4), 20.0), (ModelBuilder.encoder(seed: 5), 20),
    ] {
      let result = try quantize(graph) {
        $0.observer = observer
        $0.activations = activations
      }
      let decibels = try fidelity(graph, result.graph)
      #expect(decibels > least, "\(graph.nodes[0].opType)")
    }
  }

  @Test func integersReachFromInputToLogits() throws {
    let result = try quantize(ModelBuilder.residual(seed: 4)).graph
    let quantized = result.nodes.filter { $0.opType == "QuantizeLinear" }.map { $0.inputs[0] }
    // Not a and d: their clamps are taken in. Not j to m: a curve, and what pools its results. Not
    // y: nothing reads it.
    #expect(Set(quantized) == ["x", "b", "c", "e", "g", "h", "i", "n"])
    // Nothing but QuantizeLinear, clamps, the curve and what follows it reads an fp32 value.
    let readers: Set<String> = [
      "QuantizeLinear", "Relu", "HardSwish", "AveragePool", "GlobalAveragePool", "Flatten",
    ]
    for node in result.nodes where !readers.contains(node.opType) {
      for name in node.inputs where result.initializers[name] == nil {
        #expect(
          name.hasSuffix("quantized") || name.hasSuffix("dequantized"),
          "\(node.label) reads \(name)")
      }
    }
  }

  /// A layer, a clamp, pools and a classifier.
  private var pools: Graph {
    var model = ModelBuilder(seed: 6, input: [3, 8, 8])
    model.conv("x", "a", (3, 8))
    model.node("Relu", ["a"], "b")
    model.node(
      "AveragePool", ["b"], "c", ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])])
    model.node("GlobalAveragePool", ["c"], "d")
    model.node("Flatten", ["d"], "e")
    model.gemm("e", "y", (8, 5))
    model.output("y", [5])
    return model.graph
  }

  @Test func whatIsMovedKeepsItsScale() throws {
    let result = try quantize(ModelBuilder.residual(seed: 4)).graph
    let shared = try ["e", "g", "h", "i"].map { try scale(result, of: $0) }
    #expect(Set(shared).count == 1)
    let other = try quantize(pools).graph
    #expect(try scale(other, of: "b") != scale(other, of: "c"))
    #expect(try scale(other, of: "d") == scale(other, of: "e"))
  }

  @Test func weightsLieOnTheirChannelsGrid() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let result = try quantize(graph).graph
    let codes: Tensor<Int8> = try #require(result.initializers["c.w.quantized"]).require()
    let scales = try #require(result.initializers["c.w.scale"]).require(Float.self).elements
    let weights = try graph.weight("c.w").elements
    for (index, code) in codes.elements.enumerated() {
      #expect(abs(Float(code) * scales[index / 72] - weights[index]) <= scales[index / 72] * 0.5001)
    }
    for row in 0..<8 {
      #expect(codes.slice(axis: 0, range: row..<row + 1).elements.map { abs(Int($0)) }.max() == 127)
    }
    let bias: Tensor<Int32> = try #require(result.initializers["c.b.quantized"]).require()
    let units = try #require(result.initializers["c.b.scale"]).require(Float.self).elements
    let input = try scale(result, of: "b")[0]
    #expect(units == scales.map { $0 * input } && bias.count == 8)
  }

  @Test func sharedWeightsAreStoredOnce() throws {
    var model = ModelBuilder(seed: 2, input: [4, 6, 6])
    model.weights("w", [4, 4, 3, 3])
    let pads: [String: Attribute] = ["pads": .ints([1, 1, 1, 1])]
    model.node("Conv", ["x", "w"], "a", pads)
    model.node("Conv", ["a", "w"], "y", pads)
    model.output("y", [4, 6, 6])
    let result = try quantize(model.graph) { $0.biasCorrection = false }.graph
    #expect(result.initializers.values.count { $0.dtype == .int8 && $0.shape.rank == 4 } == 1)
    #expect(try fidelity(model.graph, result) > 20)
  }

  @Test func layersCanBeKept() throws {
    let result = try quantize(ModelBuilder.residual(seed: 4)) { $0.keep = ["Conv c", "f"] }
    #expect(result.layers.filter { !$0.changed }.map(\.layer).sorted() == ["Conv c", "Conv f"])
    #expect(result.graph.initializers["c.w"] != nil)
    #expect(result.graph.initializers["a.w"] == nil)
    // The clamp behind a kept layer is computed along with it, and only its result is quantized.
    let first = try quantize(ModelBuilder.residual(seed: 4)) { $0.keep = ["Conv a"] }.graph
    let quantized = first.nodes.filter { $0.opType == "QuantizeLinear" }.map { $0.inputs[0] }
    #expect(quantized.contains("b") && !quantized.contains("a"))
    // So is a pool.
    let pooled = try quantize(pools) { $0.keep = ["Conv a"] }.graph
    #expect(pooled.nodes.filter { $0.opType == "QuantizeLinear" }.map { $0.inputs[0] } == ["e"])
  }

  @Test func sameInputsSameModel() throws {
    func run() throws -> [UInt8] {
      try ONNXFile.encode(quantize(ModelBuilder.residual(seed: 7)).graph)
    }
    #expect(try run() == run())
  }

  /// A calibration that was stopped goes on where it ended, and comes to the same result.
  @Test func calibrationGoesOn() throws {
    let graph = ModelBuilder.residual(seed: 4)
    try withTemporaryFolder { folder in
      let state = "\(folder)/state.json"
      let source = try CalibrationSource(inputs(graph, count: 100, seed: 1), for: graph)
      var settings = QuantizationSettings()
      let whole = try StaticQuantization(settings: settings).apply(to: graph, source).graph
      settings.calibrationState = state
      struct Stop: Error {}
      #expect(throws: Stop.self) {
        _ = try StaticQuantization(settings: settings, progress: { _ in throw Stop() })
          .apply(to: graph, source)
      }
      // Batches of 64: only the second one is left.
      let seen = Mutex<[Int]>([])
      let rest = try StaticQuantization(
        settings: settings,
        progress: { progress in
          guard progress.task == "calibrate" else { return }
          seen.withLock { $0.append(progress.completed) }
        }
      ).apply(to: graph, source).graph
      #expect(seen.withLock { $0 } == [100])
      settings.calibrationState = nil
      #expect(try ONNXFile.encode(rest) == ONNXFile.encode(whole))
      settings.calibrationState = state
      let error = #expect(throws: SwiftletError.self) {
        let other = ModelBuilder.residual(seed: 5)
        _ = try StaticQuantization(settings: settings).apply(to: other, source)
      }
      #expect(error?.description.contains("another model") == true)
      // A finished one is of its samples: they are known by their elements.
      let fewer = try CalibrationSource(inputs(graph, count: 50, seed: 1), for: graph)
      let others = try CalibrationSource(inputs(graph, count: 100, seed: 2), for: graph)
      for source in [fewer, others] {
        let error = #expect(throws: SwiftletError.self) {
          _ = try StaticQuantization(settings: settings).apply(to: graph, source)
        }
        #expect(error?.description.contains("other samples") == true)
      }
      let more = try CalibrationSource(inputs(graph, count: 150, seed: 1), for: graph)
      _ = try StaticQuantization(settings: settings).apply(to: graph, source)
      #expect(try more.digest(0..<100) == source.digest(0..<100))
    }
  }

  @Test func whatCannotBeQuantizedIsRefused() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let once = try quantize(graph).graph
    let twice = #expect(throws: SwiftletError.self) { try quantize(once) }
    #expect(twice?.description.contains("already") == true)
    var wild = try inputs(graph, count: 3, seed: 1)
    wild["x"] = .float32(Tensor([3, 3, 8, 8], repeating: .nan))
    let source = try CalibrationSource(wild, for: graph)
    let error = #expect(throws: SwiftletError.self) {
      try StaticQuantization(settings: QuantizationSettings()).apply(to: graph, source)
    }
    #expect(error?.code == .numerical)
    #expect(throws: SwiftletError.self) { try CalibrationSource([:], for: graph) }
    #expect(throws: SwiftletError.self) {
      try CalibrationSource(["x": .float32(Tensor(zeros: [2, 3, 8, 9]))], for: graph)
    }
  }
}
