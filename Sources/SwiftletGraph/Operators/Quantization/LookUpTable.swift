// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A function of 8-bit codes: y = table[x], where int8 codes count from −128.
///
/// | input          | type          | shape |
/// |----------------|---------------|-------|
/// | `x`            | uint8 or int8 | any   |
/// | `y_scale`      | fp32          | one: what the result's codes mean, for those who read it |
/// | `y_zero_point` | type of `y`   | one   |
/// | `table`        | type of `y`   | 256   |
///
/// Sessions substitute it for ONNX nodes between a `DequantizeLinear` and a `QuantizeLinear`.
public struct LookUpTable: Operator {
  public static let opType = "LookUpTable"
  /// Its operator domain.
  public static let domain = "swiftlet"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "codes", where: \.isByte)
    let table = try required(inputs, 3, "table", where: \.isByte)
    guard table.shape == [256] else { throw mismatch("the table is \(table.shape), not 256") }
    return [TensorInfo(table.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0]!
    let first = x.dtype == .int8 ? -128 : 0
    let table = inputs[3]!.integers
    let codes = x.integers.map { table[$0 - first] }
    return [
      inputs[3]!.dtype == .int8
        ? .int8(Tensor(x.shape, codes.map { Int8($0) }))
        : .uint8(Tensor(x.shape, codes.map { UInt8($0) }))
    ]
  }
}
