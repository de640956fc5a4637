// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore
package import SwiftletGraph
import SwiftletLinalg

/// A Conv, Gemm or MatMul with constant weights, seen as a matrix of outputs × depth, where depth
/// is the number of products per output.
package struct WeightedLayer {
  /// The reading of the node.
  package let linear: LinearLayer
  /// The weights with the outputs first: outputs × channels × window for Conv, outputs × depth for
  /// Gemm and MatMul.
  package let weight: Tensor<Float>
  /// The bias, one element per output; `nil`: none.
  package let bias: Tensor<Float>?
  /// Whether a grouped convolution keeps its number of groups when the number of channels changes.
  var keepsGroups = false

  /// Operators that can be such layers.
  static let operators: Set<String> = ["Conv", "Gemm", "MatMul"]

  package var node: Node { linear.node }
  var isConv: Bool { linear.isConvolution }
  var outputs: Int { weight.shape[0] }
  package var depth: Int { weight.shape.count(of: 1..<weight.shape.rank) }

  /// The layer, or the reason why it cannot be changed.
  package enum Finding {
    /// A layer with constant fp32 weights.
    case layer(WeightedLayer)
    /// The reason why the node cannot be changed, such as `its weights are computed, not constant`.
    case refusal(String)
  }

  /// Reads a node.
  ///
  /// - Parameters:
  ///   - node: The node.
  ///   - graph: The graph that contains its constants.
  /// - Returns: `nil` if the node is not one of ``operators``.
  /// - Throws: `badInput` if an attribute has the wrong type.
  package static func find(_ node: Node, in graph: Graph) throws -> Finding? {
    guard operators.contains(node.opType), let linear = try LinearLayer(node, in: graph) else {
      return nil
    }
    guard !linear.isOnLeft else {
      return .refusal(
        "its weights are on the left, and are shared or not an fp32 matrix")
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
    guard linear.groups == 1 else {
      return .refusal("it is a grouped convolution, whose groups are small already")
    }
    guard linear.layout(stored.shape) != nil else {
      return .refusal("its weights are not a matrix")
    }
    guard linear.isPlain else { return .refusal("it transposes or scales its input") }
    let layer = WeightedLayer(linear: linear, weight: linear.outputsFirst(stored), bias: bias)
    guard bias == nil || bias!.count == layer.outputs else {
      return .refusal("its third input is not one bias per output")
    }
    return .layer(layer)
  }

  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> { weight.reshaped(to: [outputs, depth]) }

  /// The rank at which two factors cost as much as the layer itself.
  var breakEvenRank: Double { Double(outputs * depth) / Double(outputs + depth) }
}
