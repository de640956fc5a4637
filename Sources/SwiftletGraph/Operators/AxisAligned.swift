// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// An elementwise operator whose right side is aligned with a given axis of the left side, as nodes
/// of operator sets up to 6 may request, rather than with its last axes.
///
/// - Source: ONNX operator set 6, attributes `broadcast` and `axis`; in `PRelu`, the slopes are per
///   channel.
struct AxisAligned: Operator {
  static let opType = "a broadcast along an axis"
  private let inner: any Operator
  private let axis: Int

  init(_ inner: any Operator, axis: Int) { (self.inner, self.axis) = (inner, axis) }

  init(_ node: Node, opset: Int) throws {
    self.init(try OperatorRegistry.make(node, opset: 7), axis: try node.int("axis", default: 0))
  }

  /// The operator of a node, wrapped if the node requests it.
  static func wrapping(_ inner: any Operator, _ node: Node, opset: Int) throws -> any Operator {
    guard opset < 7, node.inputs.count == 2 else { return inner }
    if node.opType == "PRelu" { return AxisAligned(inner, axis: 1) }
    guard node.attributes["axis"] != nil, try node.int("broadcast", default: 0) != 0 else {
      return inner
    }
    return AxisAligned(inner, axis: try node.int("axis", default: 0))
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    var operands = inputs
    let a = try required(inputs, 0, "left side")
    let b = try required(inputs, 1, "right side")
    operands[1] = TensorInfo(b.dtype, try aligned(b.shape, a.shape.rank))
    return try inner.infer(operands)
  }

  private func aligned(_ shape: Shape, _ rank: Int) throws -> Shape {
    if shape.count == 1 { return .scalar }
    let axis = try axis(axis, rank: rank)
    guard axis + shape.rank <= rank else {
      throw mismatch("\(shape) does not fit at axis \(axis) of rank \(rank)")
    }
    return Shape(
      shape.dimensions + [Int](repeating: 1, count: rank - axis - shape.rank))
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let shape = try aligned(inputs[1]!.shape, inputs[0]!.shape.rank)
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(try inputs[1]!.require(T.self).reshaped(to: shape))
    }
    inputs[1] = try opened(inputs[1]!.dtype.elementType)
    return try inner.forward(&inputs, context)
  }
}
