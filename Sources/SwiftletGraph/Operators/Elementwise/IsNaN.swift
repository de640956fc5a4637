// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Whether elements are NaN, or infinite: `IsInf` can ignore one sign.
///
/// - Source: ONNX `IsNaN`, `IsInf`.
public struct IsNaN: Operator {
  public static let opType = "IsNaN"
  public static let opTypes = ["IsNaN", "IsInf"]
  private let findsNaN: Bool
  private let signs: [Double]

  public init(_ node: Node, opset: Int) throws {
    findsNaN = node.opType == "IsNaN"
    var signs: [Double] = []
    if try node.int("detect_positive", default: 1) != 0 { signs.append(.infinity) }
    if try node.int("detect_negative", default: 1) != 0 { signs.append(-.infinity) }
    self.signs = signs
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [TensorInfo(.bool, try floating(inputs, 0, "input").shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0]! {
    case .float64(let x): [.bool(find(x))]
    case let x: [.bool(find(try x.require(Float.self)))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func find<T: LayerElement>(_ x: Tensor<T>) -> Tensor<Bool> {
    if findsNaN { return x.map(\.isNaN) }
    return x.map { $0.isInfinite && signs.contains(Double($0)) }
  }
}
