import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Writes QuantizeLinear and DequantizeLinear into a graph.
struct QDQWriter {
  private var graph: Graph
  private var names: FreshNames
  /// Nodes to put behind those that compute a value (−1: the graph's inputs), and before others.
  private var behind: [Int: [Node]] = [:]
  private var before: [Int: [Node]] = [:]
  private var replacements: [Int: [Int: String]] = [:]
  /// Names of constants by what they were to be called.
  private var written: [String: String] = [:]
  /// What the nodes read in place of a value.
  private var restored: [String: String] = [:]

  /// Whether layers with the same weights read the same restored ones.
  private let sharesRestoredWeights: Bool
  /// The results of nodes that restore weights, by those.
  private var restoredWeights: [String: String] = [:]
  /// Where the codes of weights are that have one scale per channel, by the weights' names.
  private(set) var stored: [String: StoredCodes] = [:]

  init(_ graph: Graph, sharesRestoredWeights: Bool = false) {
    self.graph = graph
    self.sharesRestoredWeights = sharesRestoredWeights
    names = FreshNames(graph)
  }

  private mutating func constant(_ base: String, _ tensor: AnyTensor) -> String {
    let name = names.next(base)
    graph.initializers[name] = tensor
    return name
  }

  /// A constant that layers with the same weights have in common.
  private mutating func shared(_ base: String, _ tensor: AnyTensor) -> String {
    if let known = written[base], graph.initializers[known] == tensor { return known }
    let name = constant(base, tensor)
    written[base] = name
    return name
  }

  /// Lets all nodes, or the one at a position, read the 8-bit copy of a value.
  mutating func quantize(_ value: String, _ grid: ActivationGrid, for reader: Int? = nil) {
    let parameters = [
      constant("\(value).scale", .float32(Tensor(.scalar, [grid.scale]))),
      constant("\(value).zero", grid.zero),
    ]
    let (codes, copy) = (names.next("\(value).quantized"), names.next("\(value).dequantized"))
    let producer = graph.producer(of: value) ?? -1
    behind[producer, default: []] += [
      Node(
        "QuantizeLinear", name: names.next("\(value).QuantizeLinear"), inputs: [value] + parameters,
        outputs: [codes]),
      Node(
        "DequantizeLinear", name: names.next("\(value).DequantizeLinear"),
        inputs: [codes] + parameters,
        outputs: [copy]),
    ]
    if let reader { replacements[reader, default: [:]][0] = copy } else { restored[value] = copy }
  }

  /// Lets a node read constant codes, restored, as its weights.
  mutating func replaceWeights(of layer: QuantizationPlan.Layer, with weights: QuantizedWeights) {
    var attributes: [String: Attribute] = ["axis": .int(weights.axis)]
    if let blockSize = weights.blockSize { attributes["block_size"] = .int(blockSize) }
    // A zero point that is left out is 0.
    replace(
      layer, input: 1, name: layer.node.inputs[1], codes: weights.codes, scales: weights.scales,
      zero: weights.blockSize == nil && weights.codes.dtype == .int8
        ? .int8(Tensor(zeros: weights.scales.shape)) : nil,
      attributes)
    let base = layer.node.inputs[1]
    if weights.blockSize == nil, let codes = written["\(base).quantized"],
      let scales = written["\(base).scale"]
    {
      stored[base] = StoredCodes(codes: codes, scales: scales, axis: weights.axis)
    }
  }

  /// Gives a layer a bias of int32 in units of input scale times weight scale, which is what sums of
  /// integers are in; or of fp32, where it does not fit these.
  mutating func replaceBias(
    of layer: QuantizationPlan.Layer, with bias: Tensor<Float>?, inputScale: Float,
    weightScales: [Float]
  ) {
    guard let bias else { return }
    let units = weightScales.map { $0 * inputScale }
    guard zip(bias.elements, units).allSatisfy({ $1 > 0 && abs($0 / $1) < 0x1p30 }) else {
      replacements[layer.index, default: [:]][2] = constant(
        "\(biasName(layer)).corrected", .float32(bias))
      return
    }
    let codes = zip(bias.elements, units).map { Int32(($0 / $1).rounded(.toNearestOrEven)) }
    replace(
      layer, input: 2, name: biasName(layer), codes: .int32(Tensor([codes.count], codes)),
      scales: Tensor([units.count], units), zero: .int32(Tensor(zeros: [codes.count])),
      ["axis": .int(0)])
  }

  /// The name of a layer's bias; one that it would have, if it has none.
  private func biasName(_ layer: QuantizationPlan.Layer) -> String {
    layer.bias == nil ? "\(layer.node.outputs[0]).bias" : layer.node.inputs[2]
  }

  private mutating func replace(
    _ layer: QuantizationPlan.Layer, input: Int, name: String, codes: AnyTensor,
    scales: Tensor<Float>,
    zero: AnyTensor?, _ attributes: [String: Attribute]
  ) {
    var inputs = [
      shared("\(name).quantized", codes), shared("\(name).scale", .float32(scales)),
    ]
    if let zero { inputs.append(shared("\(name).zero", zero)) }
    let key = inputs.joined(separator: "\u{0}") + "\(attributes["axis"] ?? .int(0))"
    if let known = restoredWeights[key], sharesRestoredWeights {
      replacements[layer.index, default: [:]][input] = known
      return
    }
    let output = names.next("\(name).dequantized")
    restoredWeights[key] = output
    before[layer.index, default: []].append(
      Node(
        "DequantizeLinear", name: names.next("\(name).DequantizeLinear"), inputs: inputs,
        outputs: [output], attributes: attributes))
    replacements[layer.index, default: [:]][input] = output
  }

  /// The graph with all that was asked for.
  func result() -> Graph {
    var result = graph
    result.nodes = behind[-1] ?? []
    for (index, node) in graph.nodes.enumerated() {
      var node = node
      node.inputs = node.inputs.map { restored[$0] ?? $0 }
      for (input, name) in replacements[index] ?? [:] {
        while node.inputs.count <= input { node.inputs.append("") }
        node.inputs[input] = name
      }
      result.nodes += (before[index] ?? []) + [node] + (behind[index] ?? [])
    }
    result.removeUnusedInitializers()
    return result
  }
}
