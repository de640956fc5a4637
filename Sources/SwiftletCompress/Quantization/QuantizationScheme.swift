// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Decides which layers of a graph compute with integers, and which values become 8-bit integers.
///
/// Conv, Gemm and MatMul with constant weights request 8-bit inputs. Operators that pass values on
/// to them (sums, pools, concatenations) request 8-bit inputs in turn where those come from integer
/// layers, so that a network stays in integers from its first layer to its last. Values that no
/// node requests stay floats. A clamp (`Relu`, `Clip`) after a layer or a sum is fused with it:
/// only its result is quantized.
struct QuantizationScheme {
  /// A layer with constant weights.
  struct Layer {
    /// The position of its node in the graph.
    let index: Int
    /// The reading of its node, and where its weights have which channels.
    let linear: LinearLayer
    let layout: LinearLayer.Layout
    /// The weights as the node reads them.
    let weights: Tensor<Float>
    let bias: Tensor<Float>?
    /// The name of the constant that holds the weights.
    let source: String
    /// Whether the layer reads that constant through a `Transpose`.
    let isTurned: Bool

    var node: Node { linear.node }
    var isConv: Bool { linear.isConvolution }
    /// The name of the input value.
    var input: String { linear.data }
    /// The output-channel axis of the weights.
    var axis: Int { layout.outputAxis }
    /// The number of output channels.
    var outputs: Int { layout.outputs }
    /// Number of products per output.
    var depth: Int { layout.depth }
    /// The output-channel axis in the constant.
    var sourceAxis: Int { isTurned ? 1 - axis : axis }
  }

  /// The layers to quantize, in the order of the graph.
  private(set) var layers: [Layer] = []
  /// Layers that stay unchanged, and why.
  private(set) var refusals: [(node: Node, reason: String)] = []
  /// The values to quantize, in order of computation.
  private(set) var values: [String] = []
  /// Links between values that share one scale: inputs and outputs of operators that only move
  /// elements, and parts of a concatenation. The last value of a chain represents the group.
  private var groups: [String: String] = [:]
  /// Positions of the nodes that read 8-bit copies: layers, and operators that pass integers on to
  /// them.
  private(set) var readers: Set<Int> = []
  /// Positions of layers that share weights with a layer whose scales are along the other axis.
  /// They must read floats: next to an 8-bit input, runtimes would take those scales for per-output
  /// scales.
  private var splitLayers: Set<Int> = []
  /// Values computed by integer operators: they exist as floats only if some node requests it.
  private(set) var integral: Set<String> = []

  private let graph: Graph
  private let infos: [String: TensorInfo]
  private let keeping: Set<String>

  /// Operators that move elements without changing them: their result has the scale of the input.
  private static let movers: Set<String> = [
    "MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze",
  ]
  /// Operators with one input whose result has its own scale. Activation functions such as
  /// HardSwish and Gelu are excluded: they would round their input a second time, which costs too
  /// much accuracy in networks that use them throughout.
  private static let functions: Set<String> = ["AveragePool", "GlobalAveragePool"]
  private static let clamps: Set<String> = ["Relu", "Clip"]

  /// - Parameters:
  ///   - infos: Types and shapes of the values, by name.
  ///   - keeping: Layers that stay floats, by node name or output name.
  init(_ graph: Graph, _ infos: [String: TensorInfo], keeping: Set<String> = []) throws {
    (self.graph, self.infos, self.keeping) = (graph, infos, keeping)
    let turned = graph.turnedConstants
    for (index, node) in graph.nodes.enumerated()
    where WeightedLayer.operators.contains(node.opType) {
      guard let linear = try LinearLayer(node, in: graph) else { continue }
      switch Self.layer(linear, at: index, graph, infos, turned) {
      case .success(let layer):
        if !keeping.isDisjoint(with: [node.name, node.outputs[0]]) {
          refusals.append((node, "it was chosen to keep its floats"))
        } else {
          layers.append(layer)
        }
      case .failure(let refusal): refusals.append((node, refusal.reason))
      }
    }
    share()
    let wanted = wantedValues()
    let order = graph.dataInputs.map(\.name) + graph.nodes.flatMap(\.outputs)
    values = order.filter(wanted.contains)
    for node in graph.nodes { unite(node, wanted) }
  }

  /// The reason why a layer cannot be quantized.
  private struct Refusal: Error { let reason: String }

  private static func layer(
    _ linear: LinearLayer, at index: Int, _ graph: Graph, _ infos: [String: TensorInfo],
    _ turned: [String: String]
  ) -> Result<Layer, Refusal> {
    let weightInput = linear.node.inputs[1]
    let source = turned[weightInput] ?? weightInput
    guard let constant = graph.initializers[source] else {
      return .failure(
        Refusal(
          reason: linear.isOnLeft
            ? "its weights are the left operand; only weights on the right can be quantized"
            : "its weights are computed, not constant"))
    }
    guard let stored: Tensor<Float> = constant.typed() else {
      return .failure(Refusal(reason: "its weights are \(constant.dtype)"))
    }
    let isTurned = source != weightInput
    let weights = isTurned ? stored.transposed() : stored
    guard weights.isFinite else {
      return .failure(Refusal(reason: "its weights have NaN or infinite elements"))
    }
    // Without samples, types may be unknown; but an input multiplied by fp32 weights is fp32.
    guard graph.initializers[linear.node.inputs[0]] == nil,
      infos[linear.node.inputs[0]]?.dtype ?? .float32 == .float32
    else {
      return .failure(Refusal(reason: "its input is constant or not fp32"))
    }
    guard weights.count > 0, let layout = linear.layout(weights.shape) else {
      return .failure(Refusal(reason: "its weights have the shape \(weights.shape)"))
    }
    guard linear.isPlain else {
      return .failure(Refusal(reason: "it transposes or scales its input"))
    }
    var bias: Tensor<Float>?
    if let name = linear.bias, let values: Tensor<Float> = graph.initializers[name]?.typed(),
      values.shape == [layout.outputs]
    {
      bias = values
    }
    return .success(
      Layer(
        index: index, linear: linear, layout: layout, weights: weights.contiguous(), bias: bias,
        source: source, isTurned: isTurned))
  }

  /// Ensures that each constant is quantized in one way only: along the axis that most of its
  /// layers use. Other layers read it restored; if a reader must keep floats, no layer with that
  /// constant is quantized.
  private mutating func share() {
    let pinned = WeightUse.pinned(in: graph, keeping)
    var votes: [String: [Int]] = [:]
    for layer in layers { votes[layer.source, default: [0, 0]][min(layer.sourceAxis, 1)] += 1 }
    var chosen: [String: (axis: Int, layer: String)] = [:]
    for layer in layers where chosen[layer.source] == nil {
      let counts = votes[layer.source]!
      let isEven = counts[0] == counts[1]
      let axis = isEven ? layer.sourceAxis : counts[0] > counts[1] ? 0 : 1
      guard axis == layer.sourceAxis else { continue }
      chosen[layer.source] = (axis, layer.node.reportName)
    }
    layers = layers.filter { layer in
      if let reason = pinned[layer.source] {
        refusals.append((layer.node, reason))
        return false
      }
      let own = chosen[layer.source]!
      if own.axis == layer.sourceAxis { return true }
      splitLayers.insert(layer.index)
      refusals.append(
        (
          layer.node,
          "it shares its weights with '\(own.layer)', whose scales are along the other axis"
        ))
      return false
    }
  }

  /// Reports of the layers that stay unchanged, without those already covered by other reports.
  func reports(besides others: [LayerReport]) -> [LayerReport] {
    let known = Set(others.map(\.layer))
    return refusals.filter { !known.contains($0.node.reportName) }
      .map { LayerReport($0.node, .quantize, changed: false, $0.reason) }
  }

  /// Positions of the nodes that read the fp32 value although it has an 8-bit copy: nodes that
  /// compute with floats, unless the value is computed by integer operators and would have to be
  /// converted to float for them.
  func floatReaders(of value: String) -> Set<Int> {
    let others = graph.consumers(of: value).filter { !readers.contains($0) }
    let isThere = !integral.contains(value) || graph.dataInputs.contains { $0.name == value }
    return Set(isThere ? others : others.filter(splitLayers.contains))
  }

  /// The settings with 4 bits for every layer that shares weights with a 4-bit layer.
  func sharing4Bits(_ settings: QuantizationSettings) -> QuantizationSettings {
    guard !settings.int4.isEmpty else { return settings }
    let four = Set(layers.filter { settings.bits(of: $0.node) == 4 }.map(\.source))
    var result = settings
    result.int4 += layers.filter {
      four.contains($0.source) && settings.bits(of: $0.node) != 4
    }.map { $0.node.outputs[0] }
    return result
  }

  /// - Parameter changes: Reports of other layers.
  /// - Throws: `unsupported` if there is nothing to quantize, unless the settings list layers to
  ///   keep or other layers were changed.
  func requireLayers(orAny changes: [LayerReport] = []) throws {
    guard layers.isEmpty, keeping.isEmpty, !changes.contains(where: \.changed) else { return }
    let reason = refusals.first.map { ": \($0.node.label): \($0.reason)" } ?? ""
    let others = WeightStorage.found(in: graph)
    guard changes.isEmpty, let first = others.first else {
      throw SwiftletError(
        .unsupported, "the model has no weights to quantize\(reason)")
    }
    let which =
      reason.isEmpty
      ? ": the weights are in \(first.label)"
        + (others.count > 1 ? " and \(others.count - 1) more" : "") : reason
    throw SwiftletError(
      .unsupported,
      "the model has no Conv, Gemm or MatMul to quantize statically\(which)",
      fix: "use mode weightOnly or dynamic, which also store the weights of other layers as int8")
  }

  /// The value whose scale this value shares; itself if it shares none.
  func representative(of value: String) -> String {
    var name = value
    while let next = groups[name] { name = next }
    return name
  }

  // MARK: Placement

  private mutating func wantedValues() -> Set<String> {
    let quantized = Set(layers.map(\.index))
    integral = integralValues(quantized)
    readers = quantized
    var wanted: Set<String> = []
    // Outputs of sums and layers whose clamped result is wanted.
    var clamped: Set<String> = []
    for (index, node) in graph.nodes.enumerated().reversed() {
      if quantized.contains(index) {
        wanted.insert(node.inputs[0])
        continue
      }
      guard let output = node.outputs.first,
        wanted.contains(output) || clamped.contains(output)
      else { continue }
      readers.insert(index)
      if Self.clamps.contains(node.opType) {
        let isTakenIn = belongsToProducer(node)
        if isTakenIn { clamped.insert(node.inputs[0]) } else { want(node.inputs[0], &wanted) }
      } else if Self.functions.contains(node.opType) || Self.movers.contains(node.opType) {
        if integral.contains(node.inputs[0]) { want(node.inputs[0], &wanted) }
      } else if isJoin(node) {
        for name in node.inputs { want(name, &wanted) }
      }
    }
    return wanted
  }

  /// Values that can be computed with integers: inputs, results of layers and sums, and these after
  /// pooling or moving. All others stay floats until a layer requests integers, for example the
  /// attention between a product and a transposition.
  private func integralValues(_ quantized: Set<Int>) -> Set<String> {
    var integral = Set(graph.dataInputs.map(\.name))
    for (index, node) in graph.nodes.enumerated() where !node.outputs.isEmpty {
      let passesOn =
        [Self.clamps, Self.functions, Self.movers].contains { $0.contains(node.opType) }
      if quantized.contains(index) || passesOn && integral.contains(node.inputs[0])
        || isJoin(node) && !integral.isDisjoint(with: node.inputs)
      {
        integral.insert(node.outputs[0])
      }
    }
    return integral
  }

  private func want(_ name: String, _ wanted: inout Set<String>) {
    if graph.initializers[name] == nil, infos[name]?.dtype == .float32 { wanted.insert(name) }
  }

  /// Whether a clamp is the only reader of a layer or sum, quantized or not, so that it is fused
  /// with it.
  private func belongsToProducer(_ clamp: Node) -> Bool {
    let value = clamp.inputs[0]
    guard let producer = graph.producer(of: value), graph.onlyReader(of: value) != nil else {
      return false
    }
    return WeightedLayer.operators.contains(graph.nodes[producer].opType)
      || isJoin(graph.nodes[producer])
  }

  /// Whether a node joins computed fp32 values: a sum of two values of the same shape, or a
  /// concatenation.
  private func isJoin(_ node: Node) -> Bool {
    guard node.inputs.allSatisfy({ graph.initializers[$0] == nil && infos[$0]?.dtype == .float32 })
    else { return false }
    switch node.opType {
    case "Add":
      return node.inputs.count == 2 && infos[node.inputs[0]]?.shape == infos[node.inputs[1]]?.shape
    case "Concat": return true
    default: return false
    }
  }

  /// Makes the inputs and the output of a node share one scale if the operator requires it.
  private mutating func unite(_ node: Node, _ wanted: Set<String>) {
    guard Self.movers.contains(node.opType) || node.opType == "Concat",
      let output = node.outputs.first, wanted.contains(output)
    else { return }
    for input in node.inputs where wanted.contains(input) {
      let (first, second) = (representative(of: input), representative(of: output))
      if first != second { groups[second] = first }
    }
  }
}
