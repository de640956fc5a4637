// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Removes axes of extent 1 from a shape (`Squeeze`; all of them by default), or inserts some
/// (`Unsqueeze`).
///
/// - Source: ONNX `Squeeze`, `Unsqueeze`. The axes are an attribute up to operator set 12 and an
///   input from 13 on.
public struct Squeeze: MovingOperator, FloatOperator {
  public static let opType = "Squeeze"
  public static let opTypes = ["Squeeze", "Unsqueeze"]
  public let gradientReads = GradientReads()
  public let untrainedInputs: Set<Int> = [1]
  private let inserts: Bool
  private let attributeAxes: [Int]?

  public init(_ node: Node, opset: Int) throws {
    inserts = node.opType == "Unsqueeze"
    attributeAxes = try node.ints("axes")
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let axes = try integers(inputs, 1, "axes") ?? attributeAxes
    return [TensorInfo(x.dtype, try target(x.shape, axes))]
  }

  private func target(_ shape: Shape, _ axes: [Int]?) throws -> Shape {
    guard inserts else {
      let gone = try self.axes(
        axes ?? (0..<shape.rank).filter { shape[$0] == 1 }, rank: shape.rank)
      guard gone.allSatisfy({ shape[$0] == 1 }) else {
        throw mismatch("axes \(gone) of \(shape) are not all of extent 1")
      }
      return Shape((0..<shape.rank).filter { !gone.contains($0) }.map { shape[$0] })
    }
    guard let axes else { throw mismatch("the axes to insert are missing") }
    var result = shape.dimensions
    for axis in try self.axes(axes, rank: shape.rank + axes.count).sorted() {
      result.insert(1, at: axis)
    }
    return Shape(result)
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let axes = inputs.count > 1 ? inputs[1]?.integers : nil
    return [x.reshaped(to: try target(x.shape, axes ?? attributeAxes))]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    [outputGradient.reshaped(to: call.inputShapes[0]!), nil]
  }
}
