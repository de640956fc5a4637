// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph

/// Constant weights and bias of a `Conv` or `Gemm` in the form that a product needs: one row of
/// weights per output channel. A transposed matrix stays a view until it is packed.
struct ProductWeights {
  private let values: Values
  /// The scale of each output channel, for integer weights.
  private let scales: [Float]
  let bias: [Float]

  private enum Values {
    case float(Tensor<Float>)
    case integer(Tensor<Int8>)
    /// Any other constant after a `DequantizeLinear`; computed on demand.
    case dequantized(Dequantized)
  }

  /// Sums of more products of bytes could overflow.
  static let integerDepth = 1 << 15

  /// - Parameter transposed: Whether the columns of the matrix are the output channels.
  init?(_ node: Node, _ facts: GraphFacts, transposed: Bool, columns: Int) {
    guard facts.has(node, 1) else { return nil }
    if let weights = facts.floats(node, 1) {
      values = .float(transposed ? weights.permuted(to: [1, 0]) : weights)
      scales = []
    } else if let quantized = Self.integers(node, facts, transposed, columns) {
      values = .integer(quantized.values)
      scales = quantized.scales
    } else {
      guard let constant = Dequantized(node, facts, transposed: transposed) else { return nil }
      values = .dequantized(constant)
      scales = []
    }
    if facts.has(node, 2) {
      guard let given = Self.bias(node, facts), given.count == columns || given.count == 1
      else { return nil }
      bias = given.count == columns ? given : [Float](repeating: given[0], count: columns)
    } else {
      bias = [Float](repeating: 0, count: columns)
    }
  }

  /// Constant int8 weights after a `DequantizeLinear` with zero points of 0.
  private static func integers(
    _ node: Node, _ facts: GraphFacts, _ transposed: Bool, _ columns: Int
  ) -> (values: Tensor<Int8>, scales: [Float])? {
    guard let source = facts.producer(node.inputs[1]), source.opType == "DequantizeLinear",
      case .int8(let tensor)? = facts.constant(source, 0),
      let scales = facts.floats(source, 1)?.elements, scales.allSatisfy({ $0.isFinite && $0 > 0 }),
      (try? source.int("block_size", default: 0)) == 0, facts.isCentred(source, zeroPoint: 2)
    else { return nil }
    let axis = (try? source.int("axis", default: 1)) ?? 1
    let channelAxis = transposed ? 1 : 0
    guard
      scales.count == 1
        || (scales.count == columns
          && (axis + tensor.shape.rank) % tensor.shape.rank == channelAxis)
    else { return nil }
    let rows = transposed ? tensor.permuted(to: [1, 0]) : tensor
    guard rows.count / columns <= integerDepth else { return nil }
    return (
      rows, scales.count == 1 ? [Float](repeating: scales[0], count: columns) : scales
    )
  }

  private static func bias(_ node: Node, _ facts: GraphFacts) -> [Float]? {
    if let constant = facts.floats(node, 2) {
      return constant.shape.dimensions.last == constant.count || constant.count == 1
        ? constant.elements : nil
    }
    guard let source = facts.producer(node.inputs[2]), source.opType == "DequantizeLinear",
      case .int32(let tensor)? = facts.constant(source, 0), tensor.shape.rank == 1,
      let scales = facts.floats(source, 1)?.elements,
      scales.count == 1 || scales.count == tensor.count
    else { return nil }
    var points = [Int32](repeating: 0, count: scales.count)
    if facts.has(source, 2) {
      guard case .int32(let given)? = facts.constant(source, 2), given.count == scales.count
      else { return nil }
      points = given.elements
    }
    return tensor.elements.enumerated().map { index, value in
      let place = scales.count == 1 ? 0 : index
      return Float(value &- points[place]) * scales[place]
    }
  }

  /// Weights and bias in fp32.
  var floats: (weights: Tensor<Float>, bias: [Float]) {
    switch values {
    case .float(let tensor): return (tensor, bias)
    case .dequantized(let constant): return (constant.floats, bias)
    case .integer(let tensor):
      let depth = tensor.count / bias.count
      let elements = tensor.elements.enumerated().map { Float($1) * scales[$0 / depth] }
      return (Tensor(tensor.shape, elements), bias)
    }
  }

  /// Weights, the bias in units of the sums, and the factor that converts a sum to fp32.
  ///
  /// The zero point z of the inputs is subtracted at the end: Σ (x − z) · w = Σ x · w − z · Σ w.
  func integers(
    input: Lowering.Quantized
  ) -> (weights: Tensor<Int8>, bias: [Int32], scale: [Float])? {
    guard case .integer(let tensor) = values else { return nil }
    let weightSums = tensor.rowSums
    var sums: [Int32] = []
    for column in bias.indices {
      let units = (Double(bias[column]) / (Double(input.scale) * Double(scales[column]))).rounded(
        .toNearestOrEven)
      let total = units - Double(Int(weightSums[column]) * Int(input.zeroPoint))
      // The range of int32 that the sums leave.
      guard abs(total) < Double(1 << 30) else { return nil }
      sums.append(Int32(total))
    }
    return (tensor, sums, scales.map { $0 * input.scale })
  }
}
