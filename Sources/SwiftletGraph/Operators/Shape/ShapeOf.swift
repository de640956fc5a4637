// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The extents of the input (`Shape`, from axis `start` up to but excluding `end`), or the number
/// of its elements (`Size`).
///
/// - Source: ONNX `Shape`, `Size`.
public struct ShapeOf: Operator {
  public static let opType = "Shape"
  public static let opTypes = ["Shape", "Size"]
  private let counts: Bool
  private let start: Int
  private let end: Int

  public init(_ node: Node, opset: Int) throws {
    counts = node.opType == "Size"
    start = try node.int("start", default: 0)
    end = try node.int("end", default: .max)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let result = result(try required(inputs, 0, "input").shape)
    return [TensorInfo(result.dtype, result.shape)]
  }

  public func knownResults(_ inputs: [TensorInfo?]) -> [AnyTensor]? {
    inputs[0].map { [result($0.shape)] }
  }

  private func result(_ shape: Shape) -> AnyTensor {
    if counts { return .int64(Tensor(.scalar, [Int64(shape.count)])) }
    let (first, last) = (position(start, shape.rank), position(end, shape.rank))
    let extents = shape.dimensions[first..<max(first, last)].map(Int64.init)
    return .int64(Tensor([extents.count], extents))
  }

  private func position(_ axis: Int, _ rank: Int) -> Int {
    min(max(axis < 0 ? axis + rank : axis, 0), rank)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    [result(inputs[0]!.shape)]
  }
}
