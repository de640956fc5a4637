// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The indices of all elements that are not zero: a row per axis, a column per element in row-major
/// order.
///
/// - Source: ONNX `NonZero`.
public struct NonZero: Operator {
  public static let opType = "NonZero"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    guard let value = x.value else { throw DataDependentShape() }
    return [TensorInfo(.int64, [x.shape.rank, Self.places(value).count])]
  }

  private static func places(_ x: AnyTensor) -> [Int] {
    guard case .bool(let flags) = x.converted(to: .bool) else { return [] }
    let elements = flags.elements
    return elements.indices.filter { elements[$0] }
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let shape = inputs[0]!.shape
    let places = Self.places(inputs[0]!)
    let indices = zip(shape.rowMajorStrides, shape.dimensions).flatMap { stride, extent in
      places.map { Int64($0 / stride % extent) }
    }
    return [.int64(Tensor([shape.rank, places.count], indices))]
  }
}
