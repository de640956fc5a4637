// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The index of the largest or smallest element along an axis: the first of several, or the last
/// with `select_last_index = 1`.
///
/// - Source: ONNX `ArgMax`, `ArgMin`.
public struct ArgMax: Operator {
  public static let opType = "ArgMax"
  public static let opTypes = ["ArgMax", "ArgMin"]
  private let findsLeast: Bool
  private let axis: Int
  private let keepsAxis: Bool
  private let takesLast: Bool

  public init(_ node: Node, opset: Int) throws {
    findsLeast = node.opType == "ArgMin"
    axis = try node.int("axis", default: 0)
    keepsAxis = try node.int("keepdims", default: 1) != 0
    takesLast = try node.int("select_last_index", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    let axis = try axis(axis, rank: x.shape.rank)
    guard x.shape[axis] > 0 else { throw mismatch("axis \(axis) of \(x.shape) is empty") }
    return [TensorInfo(.int64, reduced(x.shape, axis))]
  }

  private func reduced(_ shape: Shape, _ axis: Int) -> Shape {
    Shape((0..<shape.rank).compactMap { $0 != axis ? shape[$0] : keepsAxis ? 1 : nil })
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0]!
    let axis = try axis(axis, rank: x.shape.rank)
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      .int64(find(try x.require(T.self).contiguous(), axis))
    }
    return [try opened(x.dtype.numberType())]
  }

  @specialized(where T == Float)
  private func find<T: NumberElement>(_ x: Tensor<T>, _ axis: Int) -> Tensor<Int64> {
    let (length, inner) = (x.shape[axis], x.shape.count(of: axis + 1..<x.shape.rank))
    let values = x.span
    var result = Tensor<Int64>(uninitialized: reduced(x.shape, axis))
    var output = result.mutableSpan
    for place in output.indices {
      let start = place / inner * length * inner + place % inner
      var best = 0
      for index in 1..<max(1, length) {
        let (old, new) = (values[start + best * inner], values[start + index * inner])
        let wins = findsLeast ? new < old : new > old
        if wins || takesLast && new == old { best = index }
      }
      output[place] = Int64(best)
    }
    return result
  }
}
