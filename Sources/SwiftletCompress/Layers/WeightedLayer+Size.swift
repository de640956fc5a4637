// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// Layers of other sizes for timing: the values of their weights do not matter.
extension WeightedLayer {
  /// A grouped convolution, such as a depthwise one, where `depth` is the number of products per
  /// output.
  ///
  /// - Returns: `nil` if its weights are computed, or not fp32.
  init?(grouped node: Node, in graph: Graph) throws {
    guard let linear = try LinearLayer(node), linear.kind == .conv,
      let weight: Tensor<Float> = graph.initializers[linear.weights]?.typed()
    else { return nil }
    self.init(
      linear: linear, weight: weight, bias: linear.bias.flatMap { graph.initializers[$0]?.typed() })
  }

  /// Number of input channels; for Gemm and MatMul elements per row.
  var inputs: Int { weight.shape[1] * linear.groups }

  /// The layer with other numbers of channels and arbitrary weights.
  ///
  /// Each output of a grouped convolution still reads the same number of channels, from fewer
  /// groups, unless ``keepsGroups`` is set.
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

  /// Not zero, for which int8 has no scale.
  private static let filling: Float = 0.01

  /// The weights in the node's own layout: depth × outputs for MatMul and most Gemm.
  var stored: Tensor<Float> { linear.stored(weight) }
}

extension FactorChain {
  /// The chain for a layer with other numbers of channels, with arbitrary weights: the first stage
  /// reads all inputs, the last one computes all outputs, and the ranks in between stay.
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
