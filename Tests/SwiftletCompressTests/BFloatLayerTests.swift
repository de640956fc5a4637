// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletKernels
import SwiftletRuntime
import Testing

/// Layers that `quantize` makes bf16 instead of integers.
struct BFloatLayerTests {
  private func quantize(
    _ graph: Graph, _ change: (inout QuantizationSettings) -> Void
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    var settings = QuantizationSettings()
    change(&settings)
    var generator = RandomGenerator(seed: 1)
    let x = Tensor<Float>(try graph.inputs[0].shape(batch: 20), normalUsing: &generator)
    return try Quantizer(settings).apply(
      to: graph, CalibrationSource([graph.inputs[0].name: .float32(x)], for: graph))
  }

  private func names(_ graph: Graph) -> [String] {
    graph.nodes.filter { ["Conv", "Gemm", "MatMul"].contains($0.opType) }.map(\.name)
  }

  @Test(arguments: [QuantizationMode.static, .weightOnly, .dynamic])
  func theOthersBecomeIntegers(mode: QuantizationMode) throws {
    let graph = mode == .dynamic ? ModelBuilder.encoder(seed: 5) : ModelBuilder.residual(seed: 4)
    let names = names(graph)
    let result = try quantize(graph) {
      $0.mode = mode
      $0.bf16 = [names[1]]
    }
    #expect(result.layers.map(\.layer).sorted() == names.sorted())
    let report = try #require(result.layers.first { $0.layer == names[1] })
    #expect(report.changed && report.remark.hasPrefix("bf16"))
    let layer = try #require(result.graph.nodes.first { $0.name == names[1] })
    for input in layer.inputs.prefix(2) {
      let source = try #require(result.graph.nodes.first { $0.outputs == [input] })
      #expect(source.opType == "Cast" && source.attributes["to"] == .int(1))
    }
    #expect(result.graph.initializers.values.contains { $0.dtype == .int8 })
  }

  /// All of them: half the bytes, in a file that comes back as it was written.
  @Test func weightsTakeHalfTheBytes() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let result = try quantize(graph) { $0.bf16 = names(graph) }
    #expect(result.layers.allSatisfy { $0.changed })
    let bytes = try ONNXFile.encode(result.graph)
    let weights = names(graph).reduce(0) { sum, name in
      sum + graph.initializers[graph.nodes.first { $0.name == name }!.inputs[1]]!.byteCount
    }
    // A few nodes more.
    let before = try ONNXFile.encode(graph).count
    #expect(bytes.count < before - weights / 2 + 4000)
    let back = try ONNXFile.decode(bytes)
    #expect(try ONNXFile.encode(back) == bytes)
    var generator = RandomGenerator(seed: 3)
    let x = [
      "x": AnyTensor(Tensor<Float>(try graph.inputs[0].shape(batch: 4), normalUsing: &generator))
    ]
    let (read, made) = (try Session(back).run(x), try Session(result.graph).run(x))
    #expect(read == made)
    let kinds = try Session(back, threads: .serial).profile(x, runs: 1)
      .flatMap(\.computations).map(\.kind)
    #expect(kinds.contains(.weighted(.product(.bfloat))), "\(kinds)")
  }

  /// A file with bf16 weights can be quantized: they are as large as fp32 ones for that.
  @Test func theyCanBecomeIntegersLater() throws {
    let graph = ModelBuilder.residual(seed: 4)
    let rounded = try quantize(graph) { $0.bf16 = names(graph) }.graph
    let again = try quantize(ONNXFile.decode(ONNXFile.encode(rounded))) { _ in }
    #expect(again.layers.map(\.layer).sorted() == names(graph).sorted())
    #expect(again.layers.allSatisfy { $0.changed })
  }

  /// All layers may stay as they are.
  @Test(arguments: [QuantizationMode.static, .weightOnly, .dynamic])
  func nothingHasToBecomeIntegers(mode: QuantizationMode) throws {
    let graph = ModelBuilder.residual(seed: 4)
    let result = try quantize(graph) {
      $0.mode = mode
      $0.keep = names(graph)
    }
    #expect(!result.layers.contains { $0.changed })
    #expect(!result.graph.nodes.contains { $0.opType.contains("Quantize") })
  }

  @Test func weightsThatAreComputedStay() throws {
    var graph = ModelBuilder.residual(seed: 4)
    let first = try #require(graph.nodes.firstIndex { $0.opType == "Conv" })
    let (name, weights) = (graph.nodes[first].name, graph.nodes[first].inputs[1])
    // A name for the weights that folding leaves alone, since it is an answer too.
    graph.nodes.insert(
      Node("Relu", name: "relu", inputs: [weights], outputs: ["positive"]), at: first)
    graph.nodes[first + 1].inputs[1] = "positive"
    graph.outputs.append(
      ValueInfo("positive", .float32, [.fixed(8), .fixed(3), .fixed(3), .fixed(3)]))
    let result = try quantize(graph) { $0.bf16 = [name] }
    let report = try #require(result.layers.first { $0.layer == name })
    #expect(!report.changed && report.remark.contains("not an fp32 constant"))
  }
}
