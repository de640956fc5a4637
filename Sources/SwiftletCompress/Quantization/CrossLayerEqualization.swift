// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
package import SwiftletGraph

/// Equalizes the weight ranges of the channels between consecutive layers.
///
/// The weights of each output channel of the first layer are divided by a factor, and the second
/// layer's weights for that channel are multiplied by it. `Relu` and pooling commute with positive
/// factors, so the network computes the same function. With sᵢ = √(r₁ᵢ / r₂ᵢ), where r is the
/// largest weight of channel i, both layers have the same range, and a quantization step chosen for
/// a large channel does not swallow a small one.
///
/// - Source: Nagel et al. 2019, arXiv:1906.04721, section 4.1.
package struct CrossLayerEqualization {
  /// Operators that commute with a positive factor per channel.
  private static let transparent: Set<String> = [
    "Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Flatten",
  ]
  private static let rounds = 3

  package init() {}

  /// Equalizes all pairs of consecutive layers.
  ///
  /// - Parameter infos: Types and shapes of the graph's values.
  /// - Returns: An equivalent model with other weights, and the number of pairs equalized.
  package func apply(to graph: Graph, _ infos: [String: TensorInfo]) throws -> (
    graph: Graph, pairs: Int
  ) {
    var result = graph
    var pairs = 0
    // A layer is the second of one pair and the first of the next, so it takes a few rounds to
    // converge.
    for round in 0..<Self.rounds {
      let scheme = try QuantizationScheme(result, infos)
      for layer in scheme.layers {
        guard let next = follower(of: layer, scheme, result) else { continue }
        if equalize(layer.index, next, &result, infos) && round == 0 { pairs += 1 }
      }
    }
    return (result, pairs)
  }

  /// The position of the only layer that reads a layer's channels, directly or through transparent
  /// operators; `nil` if there is none.
  private func follower(
    of layer: QuantizationScheme.Layer, _ scheme: QuantizationScheme, _ graph: Graph
  ) -> Int? {
    var value = layer.node.outputs[0]
    while true {
      let readers = graph.consumers(of: value)
      guard readers.count == 1, !graph.outputs.contains(where: { $0.name == value }) else {
        return nil
      }
      let reader = graph.nodes[readers[0]]
      if scheme.layers.contains(where: { $0.index == readers[0] }) {
        return reader.inputs[0] == value ? readers[0] : nil
      }
      guard Self.transparent.contains(reader.opType) else { return nil }
      value = reader.outputs[0]
    }
  }

  private func equalize(
    _ first: Int, _ second: Int, _ graph: inout Graph, _ infos: [String: TensorInfo]
  ) -> Bool {
    guard let before = ScaledLayer(graph.nodes[first], graph),
      let after = ScaledLayer(graph.nodes[second], graph),
      before.isPrivate(in: graph), after.isPrivate(in: graph)
    else { return false }
    let channels = before.outputs
    // After Flatten, each channel is several adjacent inputs of a matrix.
    guard channels > 0, after.inputs % channels == 0,
      after.isMatrix || after.inputs == channels
    else { return false }
    let share = after.inputs / channels
    let (own, next) = (before.outputRanges, after.inputRanges)
    let factors = (0..<channels).map { channel -> Float in
      let other = next[channel * share..<(channel + 1) * share].max() ?? 0
      guard own[channel] > 0, other > 0 else { return 1 }
      let factor = (own[channel] / other).squareRoot()
      return min(max(factor, 1e-4), 1e4)
    }
    before.scaleOutputs(factors.map { 1 / $0 }, in: &graph)
    after.scaleInputs((0..<after.inputs).map { factors[$0 / share] }, in: &graph)
    return true
  }
}

/// A layer whose channels can be scaled in place.
private struct ScaledLayer {
  private let node: Node
  private let weights: Tensor<Float>
  private let bias: Tensor<Float>?
  private let groups: Int
  private let isTransposed: Bool
  let isMatrix: Bool
  let outputs, inputs: Int

  init?(_ node: Node, _ graph: Graph) {
    guard let weights: Tensor<Float> = graph.initializers[node.inputs[1]]?.typed(),
      let groups = try? node.int("group", default: 1), groups > 0
    else { return nil }
    self.node = node
    self.weights = weights.contiguous()
    self.groups = groups
    isMatrix = node.opType != "Conv"
    isTransposed =
      node.opType == "MatMul"
      || (node.opType == "Gemm" && (try? node.int("transB", default: 0)) == 0)
    let shape = weights.shape
    outputs = shape[isTransposed ? 1 : 0]
    inputs = isTransposed ? shape[0] : shape[1] * groups
    guard node.inputs.count > 2, !node.inputs[2].isEmpty else {
      bias = nil
      return
    }
    guard let bias: Tensor<Float> = graph.initializers[node.inputs[2]]?.typed(),
      bias.shape == [outputs]
    else { return nil }
    self.bias = bias
  }

  /// Whether no other node reads the weights.
  func isPrivate(in graph: Graph) -> Bool {
    node.inputs.dropFirst().allSatisfy { $0.isEmpty || graph.consumers(of: $0).count == 1 }
  }

  /// The output and input channel of the weight at a position.
  private func channels(_ position: Int) -> (output: Int, input: Int) {
    let shape = weights.shape
    if isTransposed { return (position % outputs, position / outputs) }
    let area = shape.count(of: 2..<shape.rank)
    let output = position / (shape[1] * area)
    let group = output / (outputs / groups)
    return (output, group * shape[1] + position / area % shape[1])
  }

  var outputRanges: [Float] { ranges(outputs) { $0.output } }
  var inputRanges: [Float] { ranges(inputs) { $0.input } }

  private func ranges(
    _ count: Int, _ channel: ((output: Int, input: Int)) -> Int
  ) -> [Float] {
    var largest = [Float](repeating: 0, count: count)
    for position in 0..<weights.count {
      let index = channel(channels(position))
      largest[index] = max(largest[index], abs(weights.span[position]))
    }
    return largest
  }

  func scaleOutputs(_ factors: [Float], in graph: inout Graph) {
    store(in: &graph) { factors[$0.output] }
    if let bias {
      graph.initializers[node.inputs[2]] = .float32(
        Tensor(bias.shape, zip(bias.elements, factors).map { $0 * $1 }))
    }
  }

  func scaleInputs(_ factors: [Float], in graph: inout Graph) {
    store(in: &graph) { factors[$0.input] }
  }

  private func store(
    in graph: inout Graph, _ factor: ((output: Int, input: Int)) -> Float
  ) {
    let elements = weights.elements.enumerated().map { $1 * factor(channels($0)) }
    graph.initializers[node.inputs[1]] = .float32(Tensor(weights.shape, elements))
  }
}
