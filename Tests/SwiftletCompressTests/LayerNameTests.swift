// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

/// Layers are found by whatever the model calls them, and what is no layer is not taken for one.
struct LayerNameTests {
  private static func node(_ opType: String, _ inputs: [String], _ output: String) -> Node {
    Node(opType, name: "", inputs: inputs, outputs: [output])
  }

  /// A convolution with a normalization, and a classifier; no node has a name.
  private static var graph: Graph {
    var model = ModelBuilder(seed: 5, input: [3, 8, 8])
    model.weights("k", [16, 3, 3, 3])
    model.weights("g", [16, 10])
    for name in ["s", "b", "m", "v"] {
      model.graph.initializers[name] = .float32(
        Tensor([16], (0..<16).map { 0.5 + Float($0) / 16 }))
    }
    model.graph.nodes = [
      node("Conv", ["x", "k"], "a"), node("BatchNormalization", ["a", "s", "b", "m", "v"], "n"),
      node("Relu", ["n"], "c"), node("GlobalAveragePool", ["c"], "p"), node("Flatten", ["p"], "f"),
      node("Gemm", ["f", "g"], "y"),
    ]
    model.output("y", [10])
    return model.graph
  }

  private static func source(_ graph: Graph) throws -> CalibrationSource {
    var generator = RandomGenerator(seed: 2)
    return try CalibrationSource(
      ["x": .float32(Tensor([12, 3, 8, 8], normalUsing: &generator))], for: graph)
  }

  private static func settings(
    _ list: WritableKeyPath<QuantizationSettings, [String]>, _ name: String
  ) -> QuantizationSettings {
    var settings = QuantizationSettings()
    settings[keyPath: list] = [name]
    return settings
  }

  /// By its own result, and by that of the normalization that becomes a part of it.
  @Test(arguments: ["a", "n"]) func foldedLayersKeepTheirNames(name: String) throws {
    let graph = Self.graph
    let source = try Self.source(graph)
    let kept = try Quantizer(Self.settings(\.keep, name)).apply(to: graph, source)
    #expect(kept.layers.first { $0.layer == "n" }?.changed == false)
    #expect(kept.layers.first { $0.layer == "y" }?.changed == true)
    let int4 = try Quantizer(Self.settings(\.int4, name)).apply(to: graph, source)
    #expect(int4.layers.first { $0.layer == "n" }?.remark.hasPrefix("int4") == true)
    #expect(int4.layers.first { $0.layer == "y" }?.remark.hasPrefix("int8") == true)
    let half = try Quantizer(Self.settings(\.bf16, name)).apply(to: graph, source)
    #expect(half.layers.first { $0.layer == "n" }?.remark.hasPrefix("bf16") == true)
    let measured = try Sensitivity.measure(graph, Self.settings(\.keep, name), source)
    #expect(measured.layers.map(\.layer) == ["y"])
  }

  @Test func whatIsNoLayerIsRefusedWithTheNearest() throws {
    let graph = Self.graph
    let source = try Self.source(graph)
    for list in [\QuantizationSettings.keep, \.int4, \.bf16] {
      for name in ["c", "f", "p"] {
        expectError(.badInput, "'\(name)' is not a layer that can be quantized") {
          try Sensitivity.measure(graph, Self.settings(list, name), source)
        }
      }
      expectError(.badInput, "the nearest layers are 'y', 'a'") {
        try Sensitivity.measure(graph, Self.settings(list, "f"), source)
      }
      let error = #expect(throws: SwiftletError.self) {
        try Sensitivity.measure(graph, Self.settings(list, "zzz"), source)
      }
      #expect(error?.what == "the model has no layer 'zzz'")
      // The caller knows the model and the step.
      #expect(error?.location == nil && error?.code == .badInput)
    }
  }

  /// Tables can keep their floats; they have no bf16 and no 4 bits of their own.
  @Test func tablesCanBeKeptAlone() throws {
    var graph = Graph(name: "table")
    graph.inputs = [ValueInfo("x", .int64, [.symbolic("N")])]
    graph.outputs = [ValueInfo("y", .float32, [.symbolic("N"), .fixed(8)])]
    var generator = RandomGenerator(seed: 2)
    graph.initializers = [
      "e": .float32(Tensor([64, 32], normalUsing: &generator)),
      "w": .float32(Tensor([32, 8], normalUsing: &generator)),
    ]
    graph.nodes = [Self.node("Gather", ["e", "x"], "g"), Self.node("MatMul", ["g", "w"], "y")]
    let source = try CalibrationSource(
      ["x": .int64(Tensor([12], (0..<12).map { Int64($0 * 5) }))], for: graph)
    _ = try Sensitivity.measure(graph, Self.settings(\.keep, "g"), source)
    for list in [\QuantizationSettings.int4, \.bf16] {
      expectError(.badInput, "'g' is not a layer") {
        try Sensitivity.measure(graph, Self.settings(list, "g"), source)
      }
    }
  }
}
