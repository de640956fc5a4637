// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore
package import SwiftletGraph
import SwiftletLinalg

/// A Conv, Gemm or MatMul with constant weights, seen as a matrix of outputs × depth, where depth
/// is the number of products per output.
package struct WeightedLayer {
  package let node: Node
  package let weight: Tensor<Float>
  package let bias: Tensor<Float>?
  let outputs: Int
  package let depth: Int
  /// Of a grouped convolution, whether it has as many groups with other numbers of channels.
  var keepsGroups = false

  /// The operators that can be such layers.
  static let operators: Set<String> = ["Conv", "Gemm", "MatMul"]

  var isConv: Bool { node.opType == "Conv" }

  /// The layer, or why there is none to work on.
  package enum Finding {
    case layer(WeightedLayer)
    case refusal(String)
  }

  /// - Returns: `nil` if the node is none of them.
  package static func find(_ node: Node, in graph: Graph) throws -> Finding? {
    guard operators.contains(node.opType) else { return nil }
    guard let tensor = graph.initializers[node.inputs[1]] else {
      return .refusal(
        graph.initializers[node.inputs[0]] == nil
          ? "its weights are computed, not constant"
          : "its first input is the constant one, and is read by others, too, or no fp32 matrix")
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
        return .refusal("it is grouped: each group is small already")
      }
      return .layer(
        WeightedLayer(
          node: node, weight: stored, bias: bias, outputs: stored.shape[0],
          depth: stored.shape.count(of: 1..<stored.shape.rank)))
    }
    if node.opType == "MatMul" {
      guard stored.shape.rank == 2 else { return .refusal("its weights are no matrix") }
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
      return .refusal("its addend is no bias per output")
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
  /// Whether a Gemm has its weights as outputs × depth.
  var readsTransposed: Bool { ((try? int("transB", default: 0)) ?? 0) != 0 }
}
