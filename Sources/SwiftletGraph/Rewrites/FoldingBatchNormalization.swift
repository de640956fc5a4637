// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore

extension Graph {
  /// The same graph with each `BatchNormalization` after a `Conv`, `ConvTranspose` or `Gemm` folded
  /// into that layer's weights and bias, if nothing else reads the layer's result.
  ///
  /// With s = scale / √(variance + epsilon), the weights of each output channel become W · s and
  /// its bias (b − mean) · s + shift, computed in double precision.
  ///
  /// - Source: Jacob et al. 2018, section 3.2.
  public func foldingBatchNormalization() -> Graph {
    var folding = BatchNormalizationFolding(self)
    for index in nodes.indices.reversed() where nodes[index].opType == "BatchNormalization" {
      folding.fold(index)
    }
    return folding.result
  }

  /// The elements of a constant vector of fp32.
  fileprivate func vector(_ name: String) -> [Double]? {
    guard case .float32(let tensor)? = initializers[name], tensor.shape.rank == 1 else {
      return nil
    }
    return tensor.elements.map(Double.init)
  }
}

/// A graph whose normalizations are being folded, from the last to the first.
private struct BatchNormalizationFolding {
  private var graph: Graph
  private let index: GraphIndex
  private var isFolded: [Bool]
  private var names: FreshNames
  /// The current number of readers of each constant, nodes and results.
  private var readers: [String: Int] = [:]

  init(_ graph: Graph) {
    self.graph = graph
    index = graph.index
    isFolded = graph.nodes.map { _ in false }
    names = FreshNames(graph)
    for node in graph.nodes { count(node, 1) }
    for output in graph.outputs { readers[output.name, default: 0] += 1 }
  }

  /// The graph without the nodes that have been folded.
  var result: Graph {
    var result = graph
    result.nodes = zip(graph.nodes, isFolded).filter { !$1 }.map(\.0)
    result.removeUnusedInitializers()
    return result
  }

  mutating func fold(_ position: Int) {
    let node = graph.nodes[position]
    guard OperatorRegistry.supports(node), node.outputs.count == 1, let source = node.inputs.first,
      let layerPosition = index.producers[source], layerPosition < position, readers[source] == 1,
      let scaling = ChannelScaling(node, graph)
    else { return }
    var layer = graph.nodes[layerPosition]
    guard let foldable = FoldableLayer(layer, graph, channels: scaling.factors.count) else {
      return
    }
    count(layer, -1)
    layer.inputs = [
      layer.inputs[0],
      store(foldable.weight(scaling), for: layer.inputs[1], others: readers[layer.inputs[1]]!),
      store(foldable.bias(scaling), for: node.inputs[2], others: readers[node.inputs[2]]! - 1),
    ]
    layer.outputs = node.outputs
    count(layer, 1)
    count(node, -1)
    graph.nodes[layerPosition] = layer
    isFolded[position] = true
  }

  /// Replaces the value of a constant, under a new name if others read the old one.
  private mutating func store(
    _ tensor: Tensor<Float>, for name: String, others: Int
  ) -> String {
    let own = others > 0 ? names.next("\(name)_folded") : name
    graph.initializers[own] = .float32(tensor)
    graph.keepHalf(of: name, for: own)
    return own
  }

  private mutating func count(_ node: Node, _ step: Int) {
    for name in Set(node.reads) { readers[name, default: 0] += step }
  }
}

/// The effect of a `BatchNormalization` on each channel: x · factor + shift.
package struct ChannelScaling {
  package let factors, shifts: [Double]

  package init?(_ node: Node, _ graph: Graph) {
    guard node.inputs.count == 5, let epsilon = try? node.float("epsilon", default: 1e-5),
      (try? node.int("training_mode", default: 0)) == 0
    else { return nil }
    let parameters = node.inputs[1...].compactMap(graph.vector)
    guard parameters.count == 4, parameters.allSatisfy({ $0.count == parameters[0].count }) else {
      return nil
    }
    factors = zip(parameters[0], parameters[3]).map { $0 / ($1 + Double(epsilon)).squareRoot() }
    shifts = zip(parameters[1], zip(parameters[2], factors)).map { $0 - $1.0 * $1.1 }
    guard (factors + shifts).allSatisfy(\.isFinite) else { return nil }
  }
}

/// A layer with constant weights and one bias per output channel.
private struct FoldableLayer {
  private let weights: Tensor<Float>
  private let biases: [Double]
  private let layout: LinearLayer.Layout

  init?(_ node: Node, _ graph: Graph, channels: Int) {
    guard let layer = try? LinearLayer(node), layer.kind != .matMul, layer.beta == 1,
      node.inputs.count <= 3, node.outputs.count == 1,
      case .float32(let tensor)? = graph.initializers[layer.weights],
      let layout = layer.layout(tensor.shape), layout.outputs == channels
    else { return nil }
    let declared =
      layer.bias.map(graph.vector) ?? [Double](repeating: 0, count: channels)
    guard let declared, declared.count == channels else { return nil }
    (weights, biases, self.layout) = (tensor.contiguous(), declared, layout)
  }

  func weight(_ scaling: ChannelScaling) -> Tensor<Float> {
    Tensor(
      weights.shape,
      weights.elements.enumerated().map {
        Float(Double($1) * scaling.factors[layout.channels(at: $0).output])
      })
  }

  func bias(_ scaling: ChannelScaling) -> Tensor<Float> {
    Tensor(
      [biases.count],
      biases.indices.map { Float(biases[$0] * scaling.factors[$0] + scaling.shifts[$0]) })
  }
}
