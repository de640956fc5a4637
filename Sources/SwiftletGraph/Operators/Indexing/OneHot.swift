// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// For each index a new axis of `depth` values: the second of `values` at the index, the first
/// elsewhere, and everywhere for an index outside −depth ..< depth.
///
/// - Source: ONNX `OneHot`.
public struct OneHot: Operator {
  public static let opType = "OneHot"
  private let axis: Int

  public init(_ node: Node, opset: Int) throws { axis = try node.int("axis", default: -1) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let indices = try required(inputs, 0, "indices", where: \.isNumber)
    let depth = try required(inputs, 1, "depth", where: \.isNumber)
    let values = try required(inputs, 2, "values")
    guard depth.shape.count == 1, values.shape == [2] else {
      throw mismatch("depth \(depth.shape) and values \(values.shape) do not match")
    }
    guard let depth = depth.value else { throw DataDependentShape() }
    return [TensorInfo(values.dtype, try target(indices.shape, depth.integers[0]))]
  }

  private func target(_ shape: Shape, _ depth: Int) throws -> Shape {
    guard depth > 0 else { throw mismatch("depth \(depth) is not positive") }
    var extents = shape.dimensions
    extents.insert(depth, at: try axis(axis, rank: shape.rank + 1))
    return try Shape(checking: extents)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let (indices, depth, values) = (inputs[0]!, inputs[1]!.integers[0], inputs[2]!)
    let axis = try axis(axis, rank: indices.shape.rank + 1)
    let inner = indices.shape.count(of: axis..<indices.shape.rank)
    var places: [Int] = []
    for (position, index) in indices.integers.enumerated() where -depth..<depth ~= index {
      let along = index < 0 ? index + depth : index
      places.append((position / inner * depth + along) * inner + position % inner)
    }
    let shape = try target(indices.shape, depth)
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      let pair = try values.require(T.self)
      var result = pair.slice(axis: 0, range: 0..<1).filling(shape)
      let on = pair.slice(axis: 0, range: 1..<2).filling([places.count])
      result.scatter(on, to: places, length: 1)
      return AnyTensor(result)
    }
    return [try opened(values.dtype.elementType)]
  }
}
