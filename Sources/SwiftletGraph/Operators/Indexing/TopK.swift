// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The k largest (or smallest) elements along an axis in order, and their indices; on ties the
/// lower index comes first. NaN counts as greater than all numbers, as in NumPy.
///
/// - Source: ONNX `TopK`. k is an attribute up to operator set 9. The order is the same with
///   `sorted = 0`, which leaves it open.
public struct TopK: Operator {
  public static let opType = "TopK"
  private let axis: Int
  private let takesLeast: Bool
  private let attributeK: Int?

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: -1)
    takesLeast = try node.int("largest", default: 1) == 0
    attributeK = node.attributes["k"] == nil ? nil : try node.int("k", default: 0)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    let axis = try axis(axis, rank: x.shape.rank)
    let k = try attributeK ?? integers(inputs, 1, "k")?.first
    guard let k, 0...x.shape[axis] ~= k else {
      throw mismatch(
        "k = \(k.map(String.init) ?? "nothing") does not fit axis \(axis) of \(x.shape)")
    }
    let shape = x.shape.replacing(axis: axis, with: k)
    return [TensorInfo(x.dtype, shape), TensorInfo(.int64, shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0]!
    let axis = try axis(axis, rank: x.shape.rank)
    let k = attributeK ?? inputs[1]!.integers[0]
    func opened<T: NumberElement>(_: T.Type) throws -> [AnyTensor] {
      let typed = try x.require(T.self).contiguous()
      let places = find(typed, axis, k)
      let shape = x.shape.replacing(axis: axis, with: k)
      let (length, inner) = (x.shape[axis], x.shape.count(of: axis + 1..<x.shape.rank))
      return [
        AnyTensor(typed.gathering(places, length: 1, shape: shape)),
        .int64(Tensor(shape, places.map { Int64($0 / inner % length) })),
      ]
    }
    return try opened(x.dtype.numberType())
  }

  /// The positions of the result's elements.
  @specialized(where T == Float)
  private func find<T: NumberElement>(_ x: Tensor<T>, _ axis: Int, _ k: Int) -> [Int] {
    let (length, inner) = (x.shape[axis], x.shape.count(of: axis + 1..<x.shape.rank))
    guard x.count > 0, k > 0 else { return [] }
    let elements = x.elements
    var places = [Int](repeating: 0, count: x.shape.count(of: 0..<axis) * k * inner)
    for outer in 0..<x.shape.count(of: 0..<axis) {
      for column in 0..<inner {
        let start = outer * length * inner + column
        let order = (0..<length).map { start + $0 * inner }.sorted { a, b in
          let (x, y) = (elements[a], elements[b])
          if x.isNotANumber || y.isNotANumber {
            return x.isNotANumber == y.isNotANumber ? a < b : y.isNotANumber == takesLeast
          }
          return x == y ? a < b : takesLeast ? x < y : x > y
        }
        for rank in 0..<k { places[(outer * k + rank) * inner + column] = order[rank] }
      }
    }
    return places
  }
}
