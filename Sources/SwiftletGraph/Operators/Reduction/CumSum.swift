// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Cumulative sums along an axis: including the current element, unless `exclusive = 1`, and from
/// the end with `reverse = 1`.
///
/// - Source: ONNX `CumSum`.
public struct CumSum: Operator {
  public static let opType = "CumSum"
  private let isExclusive: Bool
  private let isReverse: Bool

  public init(_ node: Node, opset: Int) throws {
    isExclusive = try node.int("exclusive", default: 0) != 0
    isReverse = try node.int("reverse", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    let axis = try required(inputs, 1, "axis") { $0 == .int32 || $0 == .int64 }
    guard axis.shape.count == 1, x.shape.rank > 0 else {
      throw mismatch("axis \(axis.shape) does not match \(x.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    let axis = try axis(inputs[1]!.integers[0], rank: x.shape.rank)
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(sums(try x.require(T.self), axis))
    }
    return [try opened(x.dtype.numberType())]
  }

  @specialized(where T == Float)
  @specialized(where T == Int64)
  private func sums<T: NumberElement>(_ x: Tensor<T>, _ axis: Int) -> Tensor<T> {
    guard x.count > 0 else { return x }
    var y = x
    let (length, inner) = (x.shape[axis], x.shape.count(of: axis + 1..<x.shape.rank))
    var values = y.mutableSpan
    for outer in 0..<x.shape.count(of: 0..<axis) {
      for column in 0..<inner {
        var sum = T.zero
        for step in 0..<length {
          let index = isReverse ? length - 1 - step : step
          let place = (outer * length + index) * inner + column
          let next = sum.plus(values[place])
          values[place] = isExclusive ? sum : next
          sum = next
        }
      }
    }
    return y
  }
}
