// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The input repeated along each axis as often as the second input says.
///
/// - Source: ONNX `Tile`. Up to operator set 5 the second input is one number, and the third the
///   axis that it is for; both may be floats.
public struct Tile: MovingOperator, FloatOperator {
  public static let opType = "Tile"
  public let gradientReads = GradientReads(inputs: [1, 2])
  public let untrainedInputs: Set<Int> = [1, 2]

  private let namesAxis: Bool

  public init(_ node: Node, opset: Int) throws { namesAxis = opset < 6 }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    _ = try required(inputs, 1, "repeats")
    let repeats = try repeats(
      wholeNumbers(inputs, 1, "repeats") ?? [],
      axis: namesAxis ? wholeNumbers(inputs, 2, "axis") ?? [] : nil, x.shape)
    // The shape with both factors of each extent separate shows whether a product would overflow.
    let tiled = try Shape(checking: zip(repeats, x.shape.dimensions).flatMap { [$0, $1] })
    return [TensorInfo(x.dtype, joined(tiled))]
  }

  /// The number of repeats of each axis.
  private func repeats(_ given: [Int], axis: [Int]?, _ shape: Shape) throws -> [Int] {
    guard let axis else {
      guard given.count == shape.rank else {
        throw mismatch("repeats \(given) do not match \(shape)")
      }
      return given
    }
    guard given.count == 1, axis.count == 1 else {
      throw mismatch("repeats \(given) do not match axis \(axis)")
    }
    var result = [Int](repeating: 1, count: shape.rank)
    result[try self.axis(axis[0], rank: shape.rank)] = given[0]
    return result
  }

  private func joined(_ shape: Shape) -> Shape {
    Shape(stride(from: 0, to: shape.rank, by: 2).map { shape[$0] * shape[$0 + 1] })
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let extents = x.shape.dimensions
    let repeats = try repeats(
      inputs[1]!.integers, axis: namesAxis ? inputs[2]!.integers : nil, x.shape)
    let tiled = Shape(zip(repeats, extents).flatMap { [$0, $1] })
    let apart = x.reshaped(to: Shape(extents.flatMap { [1, $0] }))
    return [apart.broadcast(to: tiled).reshaped(to: joined(tiled))]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    // Repeats that are floats come as such.
    let others = call.inputShapes.indices.map { index in
      (index < call.others.count ? call.others[index] : nil)
        ?? call.inputs[index].map(AnyTensor.init)
    }
    let places = ForwardCall<T>(
      inputShapes: call.inputShapes, inputs: [], outputs: [], saved: [], wanted: call.wanted,
      others: others)
    return try movedGradient(places, outputGradient)
  }
}
