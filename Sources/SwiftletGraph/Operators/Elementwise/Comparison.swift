// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// a = b, a < b, a ≤ b, a > b or a ≥ b, elementwise with broadcasting. NaN equals nothing, and is
/// neither less nor greater.
///
/// - Source: ONNX `Equal`, `Less`, `LessOrEqual`, `Greater`, `GreaterOrEqual`.
public struct Comparison: Operator {
  public static let opType = "Comparison"
  public static let opTypes = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]
  private enum Kind { case equal, less, lessOrEqual }
  private let kind: Kind
  /// a > b is b < a.
  private let swaps: Bool

  public init(_ node: Node, opset: Int) throws {
    swaps = node.opType.hasPrefix("Greater")
    kind =
      node.opType == "Equal" ? .equal : node.opType.hasSuffix("OrEqual") ? .lessOrEqual : .less
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let isOrder = kind != .equal
    let common = try broadcasting(inputs) { $0.isNumber || !isOrder }
    return [TensorInfo(.bool, common.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    var (a, b) = (inputs[0]!, inputs[1]!)
    if swaps { (a, b) = (b, a) }
    if a.dtype == .bool { (a, b) = (a.converted(to: .uint8), b.converted(to: .uint8)) }
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      .bool(compare(try a.require(T.self), try b.require(T.self), context.threads))
    }
    return [try opened(a.dtype.numberType())]
  }

  @specialized(where T == Float)
  @specialized(where T == Int64)
  private func compare<T: NumberElement>(
    _ a: Tensor<T>, _ b: Tensor<T>, _ threads: Threads
  ) -> Tensor<Bool> {
    let kind = kind
    var result = Tensor<Bool>(uninitialized: a.shape.broadcast(with: b.shape)!)
    update(&result, with: a, b, threads) { row, a, b in
      switch kind {
      case .equal: compute(&row, a, b) { $0 == $1 }
      case .less: compute(&row, a, b) { $0 < $1 }
      case .lessOrEqual: compute(&row, a, b) { $0 <= $1 }
      }
    }
    return result
  }
}
