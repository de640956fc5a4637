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
    while let index = graph.onlyReader(of: value) {
      let reader = graph.nodes[index]
      if scheme.layers.contains(where: { $0.index == index }) {
        return reader.inputs[0] == value ? index : nil
      }
      guard Self.transparent.contains(reader.opType) else { return nil }
      value = reader.outputs[0]
    }
    return nil
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
  private let linear: LinearLayer
  private let weights: Tensor<Float>
  private let layout: LinearLayer.Layout
  private let bias: Tensor<Float>?

  var isMatrix: Bool { !linear.isConvolution }
  var outputs: Int { layout.outputs }
  var inputs: Int { layout.inputs }

  init?(_ node: Node, _ graph: Graph) {
    guard let linear = try? LinearLayer(node),
      let weights: Tensor<Float> = graph.initializers[linear.weights]?.typed(),
      let layout = linear.layout(weights.shape)
    else { return nil }
    (self.linear, self.layout) = (linear, layout)
    self.weights = weights.contiguous()
    guard let name = linear.bias else {
      bias = nil
      return
    }
    guard let bias: Tensor<Float> = graph.initializers[name]?.typed(),
      bias.shape == [layout.outputs]
    else { return nil }
    self.bias = bias
  }

  /// Whether no other node reads the weights.
  func isPrivate(in graph: Graph) -> Bool {
    linear.node.inputs.dropFirst().allSatisfy { $0.isEmpty || graph.consumers(of: $0).count == 1 }
  }

  var outputRanges: [Float] { ranges(outputs) { $0.output } }
  var inputRanges: [Float] { ranges(inputs) { $0.input } }

  private func ranges(
    _ count: Int, _ channel: ((output: Int, input: Int)) -> Int
  ) -> [Float] {
    var largest = [Float](repeating: 0, count: count)
    for position in 0..<weights.count {
      let index = channel(layout.channels(at: position))
      largest[index] = max(largest[index], abs(weights.span[position]))
    }
    return largest
  }

  func scaleOutputs(_ factors: [Float], in graph: inout Graph) {
    store(in: &graph) { factors[$0.output] }
    if let bias, let name = linear.bias {
      graph.initializers[name] = .float32(
        Tensor(bias.shape, zip(bias.elements, factors).map { $0 * $1 }))
    }
  }

  func scaleInputs(_ factors: [Float], in graph: inout Graph) {
    store(in: &graph) { factors[$0.input] }
  }

  private func store(
    in graph: inout Graph, _ factor: ((output: Int, input: Int)) -> Float
  ) {
    let elements = weights.elements.enumerated().map { $1 * factor(layout.channels(at: $0)) }
    graph.initializers[linear.weights] = .float32(Tensor(weights.shape, elements))
  }
}
