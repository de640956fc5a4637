// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import RealModule
import SwiftletCore
import SwiftletGraph
import SwiftletTraining

/// Quantization-aware training.
///
/// Starts from the scales of post-training quantization, with batch normalization folded into the
/// weights. Values and weights pass through ``FakeQuantize``, whose gradient treats rounding as the
/// identity; weights, biases and scales are trained together by Adam with a cosine schedule. The
/// trained network is quantized with the trained scales.
///
/// - Source: Jacob et al. 2018; Esser et al. 2020, arXiv:1902.08153.
struct QuantizationAwareTraining {
  let settings: QuantizationSettings
  let context: CompressionContext

  /// Trains and quantizes the graph.
  ///
  /// - Throws: The errors of ``StaticQuantization`` and ``Trainer``.
  func apply(
    to graph: Graph, _ source: CalibrationSource
  ) throws -> TrainedResult {
    let quantization = StaticQuantization(
      settings: settings, threads: context.threads, progress: context.progress)
    let draft = try quantization.draft(of: graph, source)
    let network = try FakeQuantizedNetwork(draft, draft.scheme.sharing4Bits(settings))
    var training = TrainingSettings()
    training.epochs = settings.qatEpochs
    training.seed = context.seed
    training.schedule = LearningRateSchedule(.cosine, rate: settings.qatLearningRate)
    var trainer = try context.trainer(
      network.graph, on: try context.training, training, output: context.scores)
    let (trained, history) = try trainer.run(progress: context.progress)
    let (quantized, layers) = try network.quantized(trained)
    return TrainedResult(graph: quantized, layers: layers, history: history)
  }
}

/// A network with ``FakeQuantize`` wherever values and weights will be quantized.
private struct FakeQuantizedNetwork {
  private(set) var graph: Graph
  private let draft: QuantizationDraft
  private let settings: QuantizationSettings
  private var names: FreshNames
  /// Names of the initial scales and of the trained logarithms of their growth, by the value or
  /// weights they belong to.
  private var parameters: [String: (step: String, growth: String)] = [:]

  init(_ draft: QuantizationDraft, _ settings: QuantizationSettings) throws {
    (self.draft, self.settings, graph) = (draft, settings, draft.graph)
    names = FreshNames(graph)
    graph.nodes = []
    var readers: [String: String] = [:]
    let values = Set(draft.scheme.values)
    func quantize(_ name: String) {
      guard values.contains(name), let grid = draft.grids[name] else { return }
      readers[name] = fakeQuantize(
        name, sharing: draft.scheme.representative(of: name), Tensor(.scalar, [grid.scale]),
        ["low": .int(Int(grid.lowest)), "high": .int(Int(grid.highest))])
    }
    for input in draft.graph.dataInputs { quantize(input.name) }
    let layers = Dictionary(uniqueKeysWithValues: draft.scheme.layers.map { ($0.index, $0) })
    var weights: [String: String] = [:]
    for (index, node) in draft.graph.nodes.enumerated() {
      var node = node
      node.inputs = node.inputs.map { readers[$0] ?? $0 }
      if let layer = layers[index] {
        let name = layer.node.inputs[1]
        let grid = WeightGrid(settings, node)
        let layout = WeightLayout(layer.weights.shape, axis: layer.axis)
        let copy =
          weights[name]
          ?? fakeQuantize(
            name, sharing: name,
            Tensor(layout.scaleShape, grid.chosenScales(layer.weights, layout)),
            [
              "low": .int(Int(-grid.highest)), "high": .int(Int(grid.highest)),
              "axis": .int(layer.axis),
            ])
        weights[name] = copy
        node.inputs[1] = copy
      }
      graph.nodes.append(node)
      for output in node.outputs { quantize(output) }
    }
  }

  /// Adds a node; returns the name of its output.
  private mutating func fakeQuantize(
    _ name: String, sharing owner: String, _ step: Tensor<Float>, _ attributes: [String: Attribute]
  ) -> String {
    let own =
      parameters[owner]
      ?? (names.next("\(owner).step"), names.next("\(owner).growth"))
    if parameters.updateValue(own, forKey: owner) == nil {
      graph.initializers[own.step] = .float32(step)
      graph.initializers[own.growth] = .float32(Tensor(zeros: step.shape))
    }
    let output = names.next("\(name).faked")
    graph.nodes.append(
      Node(
        FakeQuantize.opType, name: names.next("\(name).FakeQuantize"),
        domain: FakeQuantize.domain, inputs: [name, own.step, own.growth], outputs: [output],
        attributes: attributes))
    return output
  }

  /// The trained scales of a value or of weights.
  private func steps(_ owner: String, _ trained: Graph) throws -> [Float] {
    let names = parameters[owner]!
    return try zip(
      trained.weight(names.step).elements, trained.weight(names.growth).elements
    ).map { max($0 * Float.exp($1), Float.leastNormalMagnitude) }
  }

  /// The trained network, quantized.
  func quantized(_ trained: Graph) throws -> (graph: Graph, layers: [LayerReport]) {
    var result = draft
    for name in draft.graph.initializers.keys {
      result.graph.initializers[name] = trained.initializers[name]
    }
    result.graph.metadata = trained.metadata
    result.scheme = try QuantizationScheme(
      result.graph, draft.infos, keeping: settings.unquantized)
    for value in draft.scheme.values {
      let step = try steps(draft.scheme.representative(of: value), trained)[0]
      result.grids[value] = draft.grids[value]!.with(scale: step)
    }
    let (quantized, layers) = try result.written(settings, remark: ", trained") { layer in
      let layout = WeightLayout(layer.weights.shape, axis: layer.axis)
      let weights = try WeightGrid(settings, layer.node).rounded(
        layer.weights, layout, scales: steps(layer.node.inputs[1], trained))
      return (weights, layer.bias)
    }
    return try BFloatLayers(settings.bf16).apply(to: quantized, layers)
  }
}
