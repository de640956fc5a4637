// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The axes in the order `perm`, by default reversed.
///
/// - Source: ONNX `Transpose`.
public struct Transpose: MovingOperator, FloatOperator {
  public static let opType = "Transpose"
  public let gradientReads = GradientReads()
  private let order: [Int]?

  public init(_ node: Node, opset: Int) throws { order = try node.ints("perm") }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let order = order(x.shape)
    guard order.sorted() == Array(0..<x.shape.rank) else {
      throw mismatch("\(order) does not permute the axes of \(x.shape)")
    }
    return [TensorInfo(x.dtype, Shape(order.map { x.shape[$0] }))]
  }

  private func order(_ shape: Shape) -> [Int] { order ?? (0..<shape.rank).reversed() }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    [x.permuted(to: order(x.shape)).contiguous()]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let order = order(call.inputShapes[0]!)
    return [outputGradient.permuted(to: order.indices.map { order.firstIndex(of: $0)! })]
  }
}
