// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The numbers start, start + delta, … before limit.
///
/// - Source: ONNX `Range`.
public struct RangeOperator: Operator {
  public static let opType = "Range"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let roles = ["start", "limit", "delta"]
    let bounds = try roles.indices.map {
      try required(inputs, $0, roles[$0], where: \.isNumber)
    }
    guard bounds.allSatisfy({ $0.dtype == bounds[0].dtype && $0.shape.count == 1 }) else {
      throw mismatch("start, limit and delta are not three numbers of the same type")
    }
    let values = try bounds.map {
      guard let value = $0.value else { throw DataDependentShape() }
      return value
    }
    return [TensorInfo(bounds[0].dtype, [try count(values)])]
  }

  private func count(_ bounds: [AnyTensor]) throws -> Int {
    guard bounds[0].dtype.isFloat else {
      let numbers = bounds.map { $0.integers[0] }
      let span = numbers[1].subtractingReportingOverflow(numbers[0])
      guard numbers[2] != 0, !span.overflow else {
        throw mismatch("the range from \(numbers[0]) to \(numbers[1]) by \(numbers[2]) is invalid")
      }
      guard span.partialValue != 0, (span.partialValue > 0) == (numbers[2] > 0) else { return 0 }
      let count = (span.partialValue.magnitude - 1) / numbers[2].magnitude + 1
      guard count <= TensorInfo.elementLimit else {
        throw mismatch("\(count) numbers are too many")
      }
      return Int(count)
    }
    let numbers = bounds.map { Self.double($0) }
    let count = ((numbers[1] - numbers[0]) / numbers[2]).rounded(.up)
    guard count <= Double(TensorInfo.elementLimit) else {
      throw mismatch("the range from \(numbers[0]) to \(numbers[1]) by \(numbers[2]) is invalid")
    }
    return Int(max(0, count))
  }

  private static func double(_ number: AnyTensor) -> Double {
    guard case .float64(let value) = number.converted(to: .float64) else { return .nan }
    return value.elements[0]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let bounds = inputs.map { $0! }
    let count = try count(bounds)
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      let (start, delta) = (
        try bounds[0].require(T.self).elements[0], try bounds[2].require(T.self).elements[0]
      )
      let numbers = (0..<count).map { start.plus(T(converting: Int64($0)).times(delta)) }
      return AnyTensor(Tensor([count], numbers))
    }
    return [try opened(bounds[0].dtype.numberType())]
  }
}
