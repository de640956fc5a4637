// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph

/// What pixels a model takes that normalizes them itself, where its first nodes leave no doubt.
///
/// Nodes that add, subtract, multiply or divide constants compute a·x + b for each channel. The
/// pixel that becomes 0 is −b/a: of bytes it lies well within 0…255, of fractions within 0…1. A
/// batch normalization of the input itself states the mean and the variance of its pixels.
enum EmbeddedNormalization {
  /// `raw` or `unit`; `nil` if the model does not say. Inputs of integers take pixels as they are.
  static func pixels(
    of graph: Graph, _ input: ValueInfo, _ layout: Preprocessing.Layout, _ channels: Int
  ) -> Preprocessing.Scaling? {
    guard input.dtype.isFloat else { return .raw }
    var axis = layout == .planar ? 1 : 3
    var factors = [Float](repeating: 1, count: channels)
    var offsets = [Float](repeating: 0, count: channels)
    var isScaled = false
    var value = input.name
    while let reader = graph.onlyReader(of: value) {
      let node = graph.nodes[reader]
      guard let first = node.outputs.first else { break }
      switch node.opType {
      case "Identity", "Cast": break
      case "Transpose":
        guard case .ints(let order)? = node.attributes["perm"],
          let next = order.firstIndex(of: axis)
        else { return nil }
        axis = next
      case "BatchNormalization" where !isScaled && axis == 1:
        return statistics(graph, node, channels)
      case "Add", "Sub", "Mul", "Div":
        guard let (constant, isFirst) = operand(graph, node, value, axis, channels) else {
          return nil
        }
        // Constants minus or divided by pixels are not a normalization.
        guard node.opType == "Add" || node.opType == "Mul" || isFirst else { return nil }
        for channel in 0..<channels {
          let number = constant[constant.count == 1 ? 0 : channel]
          switch node.opType {
          case "Add": offsets[channel] += number
          case "Sub": offsets[channel] -= number
          case "Mul":
            factors[channel] *= number
            offsets[channel] *= number
          default:
            factors[channel] /= number
            offsets[channel] /= number
          }
        }
        isScaled = true
      default:
        return isScaled ? judged(factors, offsets) : nil
      }
      value = first
    }
    return isScaled ? judged(factors, offsets) : nil
  }

  private static func judged(
    _ factors: [Float], _ offsets: [Float]
  ) -> Preprocessing.Scaling? {
    func all(_ isSuch: (_ factor: Float, _ zero: Float) -> Bool) -> Bool {
      zip(factors, offsets).allSatisfy { isSuch($0, -$1 / $0) }
    }
    // 1/127.5 and 1/(255·0.1) are the usual extremes; 1 is for means that are subtracted alone.
    if all({ 0.002...2 ~= $0 && 25...230 ~= $1 }) { return .raw }
    // Divided by 255 or 256 alone.
    if all({ 1 / 257...1 / 254 ~= $0 && $1 == 0 }) { return .raw }
    if all({ 0.9...10 ~= $0 && 0.1...0.9 ~= $1 }) { return .unit }
    return nil
  }

  /// By the running mean and variance of a batch normalization. Pixels in −1…1 have deviations
  /// above those accepted as fractions, and means around 0, as normalized ones.
  private static func statistics(
    _ graph: Graph, _ node: Node, _ channels: Int
  ) -> Preprocessing.Scaling? {
    guard node.inputs.count == 5, let means = try? graph.weight(node.inputs[3]).elements,
      let variances = try? graph.weight(node.inputs[4]).elements, means.count == channels,
      variances.count == channels
    else { return nil }
    func all(_ mean: ClosedRange<Float>, _ deviation: ClosedRange<Float>) -> Bool {
      zip(means, variances).allSatisfy { mean ~= $0 && deviation ~= $1.squareRoot() }
    }
    if all(2...253, 8...130) { return .raw }
    if all(0.05...0.95, 0.02...0.36) { return .unit }
    return nil
  }

  /// The constant operand of a node, one number or one for each channel, and whether the value is
  /// the first operand.
  private static func operand(
    _ graph: Graph, _ node: Node, _ value: String, _ axis: Int, _ channels: Int
  ) -> (constant: [Float], isFirst: Bool)? {
    guard node.inputs.count == 2, node.inputs[0] != node.inputs[1] else { return nil }
    let isFirst = node.inputs[0] == value
    guard let constant = constant(graph, node.inputs[isFirst ? 1 : 0]) else { return nil }
    guard constant.shape.count != 1 else { return (constant.elements, isFirst) }
    // Its axes align with the last ones of the value's four.
    let own = axis - (4 - constant.shape.rank)
    guard constant.shape.rank <= 4, own >= 0, constant.shape.count == channels,
      constant.shape[own] == channels
    else { return nil }
    return (constant.elements, isFirst)
  }

  /// An initializer, or the value of a `Constant`, as exporters write numbers of the code.
  private static func constant(_ graph: Graph, _ name: String) -> Tensor<Float>? {
    if graph.initializers[name] != nil { return try? graph.weight(name) }
    guard let producer = graph.index.producers[name], graph.nodes[producer].opType == "Constant",
      let operation = try? OperatorRegistry.make(graph.nodes[producer], opset: graph.opset)
    else { return nil }
    var inputs: [AnyTensor?] = []
    let results = try? operation.forward(&inputs, ExecutionContext(threads: .serial))
    return results?.first?.typed(as: Float.self)
  }
}
