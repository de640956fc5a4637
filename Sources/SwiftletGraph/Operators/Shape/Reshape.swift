// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The same elements in another shape, given by the second input: −1 stands for the remaining
/// extent, 0 for the input's extent at that position (with `allowzero = 1`, for an empty axis).
///
/// - Source: ONNX `Reshape`. The shape is an attribute up to operator set 4 and an input from 5 on.
public struct Reshape: MovingOperator, FloatOperator {
  public static let opType = "Reshape"
  public let gradientReads = GradientReads()
  public let untrainedInputs: Set<Int> = [1]
  private let allowsZero: Bool
  private let attributeShape: [Int]?

  public init(_ node: Node, opset: Int) throws {
    attributeShape = opset < 5 ? try node.ints("shape") : nil
    allowsZero = try node.int("allowzero", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    guard let extents = try attributeShape ?? integers(inputs, 1, "shape") else {
      throw mismatch("the shape is missing")
    }
    return [TensorInfo(x.dtype, try target(x.shape, extents))]
  }

  private func target(_ shape: Shape, _ extents: [Int]) throws -> Shape {
    var result = extents
    if !allowsZero {
      for axis in result.indices where result[axis] == 0 {
        guard axis < shape.rank else {
          throw mismatch("\(extents) keeps an axis that \(shape) lacks")
        }
        result[axis] = shape[axis]
      }
    }
    if let open = result.firstIndex(of: -1) {
      result[open] = 1
      let rest = try Shape(checking: result).count
      guard rest > 0, shape.count % rest == 0 else {
        throw mismatch("\(shape) cannot be reshaped to \(extents)")
      }
      result[open] = shape.count / rest
    }
    let target = try Shape(checking: result)
    guard target.count == shape.count else {
      throw mismatch("\(shape) cannot be reshaped to \(extents)")
    }
    return target
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    [x.reshaped(to: try target(x.shape, attributeShape ?? inputs[1]!.integers))]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    [outputGradient.reshaped(to: call.inputShapes[0]!)]
      + call.inputShapes.dropFirst().map { _ in nil }
  }
}
