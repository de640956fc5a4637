// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore
package import SwiftletGraph
import SwiftletLinalg

/// A Conv, Gemm or MatMul with constant weights, seen as a matrix of outputs × depth, where depth
/// is the number of products per output.
package struct WeightedLayer {
  package let linear: LinearLayer
  /// Outputs × inputs of a group × window, however the node stores them.
  package let weight: Tensor<Float>
  package let bias: Tensor<Float>?
  /// Of a grouped convolution, whether it has as many groups with other numbers of channels.
  var keepsGroups = false

  /// The operators that can be such layers.
  static let operators: Set<String> = ["Conv", "Gemm", "MatMul"]

  package var node: Node { linear.node }
  var isConv: Bool { linear.isConvolution }
  var outputs: Int { weight.shape[0] }
  package var depth: Int { weight.shape.count(of: 1..<weight.shape.rank) }

  /// The layer, or why there is none to work on.
  package enum Finding {
    case layer(WeightedLayer)
    case refusal(String)
  }

  /// - Returns: `nil` if the node is none of them.
  package static func find(_ node: Node, in graph: Graph) throws -> Finding? {
    guard operators.contains(node.opType), let linear = try LinearLayer(node, in: graph) else {
      return nil
    }
    guard !linear.isOnLeft else {
      return .refusal(
        "its first input is the constant one, and is read by others, too, or no fp32 matrix")
    }
    guard let tensor = graph.initializers[linear.weights] else {
      return .refusal("its weights are computed, not constant")
    }
    guard let stored: Tensor<Float> = tensor.typed() else {
      return .refusal("its weights are \(tensor.dtype)")
    }
    guard stored.isFinite else { return .refusal("its weights have NaN or infinite elements") }
    var bias: Tensor<Float>?
    if let name = linear.bias {
      guard let constant: Tensor<Float> = graph.initializers[name]?.typed() else {
        return .refusal("its bias is computed, not constant")
      }
      bias = constant
    }
    guard linear.groups == 1 else { return .refusal("it is grouped: each group is small already") }
    guard linear.layout(stored.shape) != nil else { return .refusal("its weights are no matrix") }
    guard linear.isPlain else { return .refusal("it transposes or scales its input") }
    let layer = WeightedLayer(linear: linear, weight: linear.outputsFirst(stored), bias: bias)
    guard bias == nil || bias!.count == layer.outputs else {
      return .refusal("its addend is no bias per output")
    }
    return .layer(layer)
  }

  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> { weight.reshaped(to: [outputs, depth]) }

  /// The rank at which two factors cost as much as the layer itself.
  var breakEvenRank: Double { Double(outputs * depth) / Double(outputs + depth) }
}
