// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore
package import SwiftletGraph
import SwiftletLinalg

/// A Conv, Gemm or MatMul with constant weights, seen as a matrix of outputs × depth, where depth
/// is the number of products per output.
package struct WeightedLayer {
  /// The node in the graph.
  package let node: Node
  /// The weights with the outputs first: outputs × channels × window for Conv, outputs × depth for
  /// Gemm and MatMul.
  package let weight: Tensor<Float>
  /// The bias, one element per output; `nil`: none.
  package let bias: Tensor<Float>?
  /// Number of outputs.
  let outputs: Int
  /// Number of products per output.
  package let depth: Int
  /// Whether a grouped convolution keeps its number of groups when the number of channels changes.
  var keepsGroups = false

  /// Operators that can be such layers.
  static let operators: Set<String> = ["Conv", "Gemm", "MatMul"]

  var isConv: Bool { node.opType == "Conv" }

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
    guard operators.contains(node.opType) else { return nil }
    guard let tensor = graph.initializers[node.inputs[1]] else {
      return .refusal(
        graph.initializers[node.inputs[0]] == nil
          ? "its weights are computed, not constant"
          : "its weights are on the left, and are shared or not an fp32 matrix")
    }
    guard let stored: Tensor<Float> = tensor.typed() else {
      return .refusal("its weights are \(tensor.dtype)")
    }
    guard stored.isFinite else { return .refusal("its weights have NaN or infinite elements") }
    var bias: Tensor<Float>?
    if node.inputs.count > 2, !node.inputs[2].isEmpty {
      guard let constant: Tensor<Float> = graph.initializers[node.inputs[2]]?.typed() else {
        return .refusal("its bias is computed, not constant")
      }
      bias = constant
    }
    if node.opType == "Conv" {
      guard try node.int("group", default: 1) == 1 else {
        return .refusal("it is a grouped convolution, whose groups are small already")
      }
      return .layer(
        WeightedLayer(
          node: node, weight: stored, bias: bias, outputs: stored.shape[0],
          depth: stored.shape.count(of: 1..<stored.shape.rank)))
    }
    if node.opType == "MatMul" {
      guard stored.shape.rank == 2 else { return .refusal("its weights are not a matrix") }
      let weight = stored.transposed().contiguous()
      return .layer(
        WeightedLayer(
          node: node, weight: weight, bias: nil, outputs: weight.shape[0], depth: weight.shape[1]))
    }
    guard try node.int("transA", default: 0) == 0, try node.float("alpha", default: 1) == 1,
      try node.float("beta", default: 1) == 1
    else { return .refusal("it transposes or scales its input") }
    let weight = node.readsTransposed ? stored : stored.transposed().contiguous()
    guard bias == nil || bias!.count == weight.shape[0] else {
      return .refusal("its third input is not one bias per output")
    }
    return .layer(
      WeightedLayer(
        node: node, weight: weight, bias: bias, outputs: weight.shape[0], depth: weight.shape[1]))
  }

  /// The weights as a matrix, outputs × depth.
  var matrix: Tensor<Float> { weight.reshaped(to: [outputs, depth]) }

  /// The rank at which two factors cost as much as the layer itself.
  var breakEvenRank: Double { Double(outputs * depth) / Double(outputs + depth) }
}

extension Node {
  /// Whether a Gemm stores its weights as outputs × depth.
  var readsTransposed: Bool { ((try? int("transB", default: 0)) ?? 0) != 0 }
}
