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
  init?(grouped node: Node, in graph: Graph) {
    guard let weight: Tensor<Float> = graph.initializers[node.inputs[1]]?.typed() else {
      return nil
    }
    self.node = node
    self.weight = weight
    bias =
      node.inputs.count > 2 && !node.inputs[2].isEmpty
      ? graph.initializers[node.inputs[2]]?.typed() : nil
    outputs = weight.shape[0]
    depth = weight.shape.count(of: 1..<weight.shape.rank)
  }

  /// Number of groups of a convolution.
  private var groups: Int {
    if case .int(let groups)? = node.attributes["group"] { groups } else { 1 }
  }

  /// Number of input channels; for Gemm and MatMul elements per row.
  var inputs: Int { isConv ? weight.shape[1] * groups : depth }

  /// The layer with other numbers of channels and arbitrary weights.
  ///
  /// Each output of a grouped convolution still reads the same number of channels, from fewer
  /// groups, unless ``keepsGroups`` is set.
  func resized(inputs: Int, outputs: Int) -> WeightedLayer {
    if inputs == self.inputs && outputs == self.outputs { return self }
    var node = node
    var read = inputs
    if groups > 1 {
      read = keepsGroups ? inputs / groups : weight.shape[1]
      node.attributes["group"] = .int(inputs / max(1, read))
    }
    let window = isConv ? Array(weight.shape.dimensions[2...]) : []
    let shape = Shape([outputs, read] + window)
    return WeightedLayer(
      node: node, weight: Tensor(shape, repeating: Self.filling),
      bias: bias.map { _ in Tensor([outputs], repeating: Self.filling) }, outputs: outputs,
      depth: shape.count / max(1, outputs), keepsGroups: keepsGroups)
  }

  /// Not zero, for which int8 has no scale.
  private static let filling: Float = 0.01

  /// The weights in the node's own layout: depth × outputs for MatMul and most Gemm.
  var stored: Tensor<Float> {
    isConv || node.readsTransposed ? weight : weight.transposed().contiguous()
  }
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
