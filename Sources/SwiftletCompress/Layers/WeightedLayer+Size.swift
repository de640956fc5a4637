// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Layers of other sizes, to be timed: what their weights are makes no difference to that.
extension WeightedLayer {
  /// A convolution of groups of channels, such as a depthwise one; `depth` is the number of
  /// products per output.
  ///
  /// - Returns: `nil` if its weights are computed, or not fp32.
  init?(grouped node: Node, in graph: Graph) throws {
    guard let linear = try LinearLayer(node), linear.kind == .conv,
      let weight: Tensor<Float> = graph.initializers[linear.weights]?.typed()
    else { return nil }
    self.init(
      linear: linear, weight: weight, bias: linear.bias.flatMap { graph.initializers[$0]?.typed() })
  }

  /// Channels that it reads; of Gemm and MatMul elements of a row.
  var inputs: Int { weight.shape[1] * linear.groups }

  /// The layer with other numbers of channels, all of its weights alike.
  ///
  /// Of a convolution of groups, each output still reads as many channels and there are fewer
  /// groups, unless groups are kept.
  func resized(inputs: Int, outputs: Int) -> WeightedLayer {
    if inputs == self.inputs && outputs == self.outputs { return self }
    var linear = linear
    var read = inputs
    if linear.groups > 1 {
      read = keepsGroups ? inputs / linear.groups : weight.shape[1]
      linear = linear.regrouped(max(1, inputs / max(1, read)))
    }
    let window = weight.shape.dimensions[2...]
    return WeightedLayer(
      linear: linear, weight: Tensor(Shape([outputs, read] + window), repeating: Self.filling),
      bias: bias.map { _ in Tensor([outputs], repeating: Self.filling) }, keepsGroups: keepsGroups)
  }

  /// Not zero, of which int8 would have no scale.
  private static let filling: Float = 0.01

  /// The weights as the node reads them: of MatMul, and of most Gemm, depth × outputs.
  var stored: Tensor<Float> { linear.stored(weight) }
}

extension FactorChain {
  /// The chain for a layer with other numbers of channels: the first stage reads all of them, the
  /// last one makes all of them, and what lies between are ranks, which stay.
  func resized(inputs: Int, outputs: Int) -> FactorChain {
    var result = self
    result.resize(0, axis: 1, to: inputs)
    result.resize(stages.count - 1, axis: 0, to: outputs)
    result.bias = bias.map { _ in Tensor([outputs], repeating: 0) }
    return result
  }

  private mutating func resize(_ stage: Int, axis: Int, to extent: Int) {
    let old = stages[stage]
    guard old.weights.shape[axis] != extent else { return }
    stages[stage] = Stage(
      weights: Tensor(old.weights.shape.replacing(axis: axis, with: extent), repeating: 0.01),
      steps: old.steps, groups: old.groups)
  }
}
