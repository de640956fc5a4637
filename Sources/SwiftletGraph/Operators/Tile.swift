public import SwiftletCore

/// The input set side by side as often as the second input says for each axis.
///
/// - Source: ONNX `Tile`.
public struct Tile: MovingOperator {
  public static let opType = "Tile"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    _ = try required(inputs, 1, "repeats")
    let repeats = try integers(inputs, 1, "repeats") ?? []
    guard repeats.count == x.shape.rank else { throw mismatch("\(repeats) repeats of \(x.shape)") }
    // The shape with both factors of each extent apart shows whether a product would overflow.
    let tiled = try Shape(checking: zip(repeats, x.shape.dimensions).flatMap { [$0, $1] })
    return [TensorInfo(x.dtype, joined(tiled))]
  }

  private func joined(_ shape: Shape) -> Shape {
    Shape(stride(from: 0, to: shape.rank, by: 2).map { shape[$0] * shape[$0 + 1] })
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let extents = x.shape.dimensions
    let tiled = Shape(zip(inputs[1]!.integers, extents).flatMap { [$0, $1] })
    let apart = x.reshaped(to: Shape(extents.flatMap { [1, $0] }))
    return [apart.broadcast(to: tiled).reshaped(to: joined(tiled))]
  }
}
