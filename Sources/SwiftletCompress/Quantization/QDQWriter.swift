// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Inserts QuantizeLinear and DequantizeLinear nodes into a graph.
struct QDQWriter {
  private var graph: Graph
  private var names: FreshNames
  /// Nodes to insert after and before the nodes at a position; −1 stands for the graph's inputs.
  private var behind: [Int: [Node]] = [:]
  private var before: [Int: [Node]] = [:]
  /// New inputs of nodes: by the node's position, then by the input's.
  private var replacements: [Int: [Int: String]] = [:]
  /// Actual names of shared constants, by the name asked for.
  private var written: [String: String] = [:]
  /// The dequantized copy that nodes read in place of a value, and the positions of nodes that go
  /// on reading the value itself.
  private var restored: [String: String] = [:]
  private var unrounded: [String: Set<Int>] = [:]
  private var hasTurnedWeights = false

  /// Whether layers that share weights also share the node that restores them.
  private let sharesRestoredWeights: Bool
  /// Outputs of the nodes that restore weights, by their inputs.
  private var restoredWeights: [String: String] = [:]
  /// The stored codes, by the name of the weights.
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

  /// A constant shared by layers with the same weights.
  private mutating func shared(_ base: String, _ tensor: AnyTensor) -> String {
    if let known = written[base], graph.initializers[known] == tensor { return known }
    let name = constant(base, tensor)
    written[base] = name
    return name
  }

  /// Lets all nodes except some read the 8-bit copy of a value; or only the node at one position,
  /// as its first input.
  mutating func quantize(
    _ value: String, _ grid: ActivationGrid, for reader: Int? = nil, except others: Set<Int> = []
  ) {
    unrounded[value] = others
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

  /// Replaces the weights of a layer by constant codes and a node that restores them.
  mutating func replaceWeights(of layer: QuantizationScheme.Layer, with weights: QuantizedWeights) {
    var attributes: [String: Attribute] = ["axis": .int(weights.axis)]
    if let blockSize = weights.blockSize { attributes["block_size"] = .int(blockSize) }
    let base = layer.source
    let stored = layer.isTurned ? weights.turned : weights
    // A missing zero point means 0.
    replace(
      layer, input: 1, name: base, codes: stored.codes, scales: stored.scales,
      zero: weights.blockSize == nil && weights.codes.dtype == .int8
        ? .int8(Tensor(zeros: weights.scales.shape)) : nil,
      attributes)
    self.stored[base] = StoredCodes(
      codes: written["\(base).quantized"]!, scales: written["\(base).scale"]!, axis: stored.axis,
      blockSize: stored.blockSize, dtype: stored.codes.dtype)
  }

  /// Replaces the bias of a layer by int32 codes in units of input scale times weight scale, as the
  /// integer sums are; by fp32 if the codes would not fit.
  mutating func replaceBias(
    of layer: QuantizationScheme.Layer, with bias: Tensor<Float>?, inputScale: Float,
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

  /// The name of a layer's bias, or a new name if it has none.
  private func biasName(_ layer: QuantizationScheme.Layer) -> String {
    layer.bias == nil ? "\(layer.node.outputs[0]).bias" : layer.node.inputs[2]
  }

  private mutating func replace(
    _ layer: QuantizationScheme.Layer, input: Int, name: String, codes: AnyTensor,
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
    var nodes = [
      Node(
        "DequantizeLinear", name: names.next("\(name).DequantizeLinear"), inputs: inputs,
        outputs: [output], attributes: attributes)
    ]
    if input == 1 && layer.isTurned { turn(&nodes, name) }
    before[layer.index, default: []] += nodes
    replacements[layer.index, default: [:]][input] = output
  }

  /// Adds the transposition of the weights: of int8 codes before they are restored; of weights in
  /// groups or with 4 bits afterwards.
  private mutating func turn(_ nodes: inout [Node], _ name: String) {
    hasTurnedWeights = true
    let perm: [String: Attribute] = ["perm": .ints([1, 0])]
    let turned = names.next("\(name).turned")
    let transpose = names.next("\(name).Transpose")
    let codes = nodes[0].inputs[0]
    if graph.initializers[codes]?.dtype == .int8, nodes[0].attributes["block_size"] == nil {
      nodes[0].inputs[0] = turned
      nodes.insert(
        Node("Transpose", name: transpose, inputs: [codes], outputs: [turned], attributes: perm),
        at: 0)
    } else {
      let result = nodes[0].outputs
      nodes[0].outputs = [turned]
      if case .int(let axis)? = nodes[0].attributes["axis"] {
        nodes[0].attributes["axis"] = .int(1 - axis)
      }
      nodes.append(
        Node("Transpose", name: transpose, inputs: [turned], outputs: result, attributes: perm))
    }
  }

  /// The graph with all changes applied.
  func result() -> Graph {
    var result = graph
    result.nodes = behind[-1] ?? []
    for (index, node) in graph.nodes.enumerated() {
      var node = node
      node.inputs = node.inputs.map {
        unrounded[$0]?.contains(index) == true ? $0 : restored[$0] ?? $0
      }
      for (input, name) in replacements[index] ?? [:] {
        while node.inputs.count <= input { node.inputs.append("") }
        node.inputs[input] = name
      }
      result.nodes += (before[index] ?? []) + [node] + (behind[index] ?? [])
    }
    // Removes transpositions of fp32 weights that nothing reads any more.
    if hasTurnedWeights { result.removeUnusedNodes() }
    result.removeUnusedInitializers()
    return result
  }
}
