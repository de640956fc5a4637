// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The product of quantized matrices to a quantized result: exact sums, scaled by aScale · bScale /
/// yScale.
///
/// q = saturate(roundTiesToEven(sum · scale) + yZeroPoint); the multiplication is in fp32.
///
/// - Source: ONNX `QLinearMatMul`. Scales and zero points are scalar, per row of a or column of b,
///   or per row or column of each matrix of a batch; the result's are scalar.
public struct QLinearMatMul: Operator {
  public static let opType = "QLinearMatMul"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let a = try required(inputs, 0, "left side", where: \.isByte)
    let b = try required(inputs, 3, "right side", where: \.isByte)
    let product = IntegerProduct(Self.opType)
    for (matrix, index, side) in [(a, 1, IntegerProduct.Side.left), (b, 4, .right)] {
      let scale = try required(inputs, index, "scale")
      let zeroPoint = try required(inputs, index + 1, "zero point")
      try product.check(matrix, zeroPoint: zeroPoint, side)
      guard scale.dtype == .float32, product.repeated(scale.shape, matrix.shape, side) != nil else {
        throw mismatch(
          "scale \(scale.dtype) \(scale.shape) does not match \(matrix.dtype) \(matrix.shape)")
      }
    }
    let scale = try required(inputs, 6, "scale of the result")
    let zero = try required(inputs, 7, "zero point of the result", where: \.isByte)
    guard scale.dtype == .float32, scale.shape.count == 1, zero.shape.count == 1 else {
      throw mismatch(
        "the result's scale \(scale.dtype) \(scale.shape) and zero point \(zero.shape) "
          + "must be scalars")
    }
    return [TensorInfo(zero.dtype, try product.shape(a.shape, b.shape))]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    outputs[0].count * (inputs[0]?.dimensions.last ?? 0)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let product = IntegerProduct(Self.opType)
    let (a, b) = (inputs[0]!, inputs[3]!)
    let sums = try product.sums(a, inputs[2], b, inputs[5], context.threads)
    let yScale = try inputs[6]!.require(Float.self).elements[0]
    let left = try inputs[1]!.require(Float.self)
    let right = try inputs[4]!.require(Float.self)
    var scaled = sums.map { Float($0) }
    var rows = product.repeated(left.shape, a.shape, .left)!
    var columns = product.repeated(right.shape, b.shape, .right)!
    // The result has no column axis for a vector on the right, no row axis for one on the left.
    if b.shape.rank == 1 { rows = Shape(Array(rows.dimensions.dropLast())) }
    if a.shape.rank == 1, columns.rank > 1 {
      columns = Shape(columns.dimensions.dropLast(2) + columns.dimensions.suffix(1))
    }
    if rows.count == 1 && columns.count == 1 {
      let scale = left.elements[0] * right.elements[0] / yScale
      scaled = scaled.map { $0 * scale }
    } else {
      update(
        &scaled, with: left.reshaped(to: rows), right.reshaped(to: columns), context.threads
      ) { row, a, b in
        let (stepA, stepB) = (a.count == 1 ? 0 : 1, b.count == 1 ? 0 : 1)
        for i in row.indices { row[i] *= a[i * stepA] * b[i * stepB] / yScale }
      }
    }
    // The remaining steps, rounding, shifting and saturating, are a quantization by a scale of 1.
    var operands: [AnyTensor?] = [.float32(scaled), .float32(Tensor([], [1])), inputs[7]]
    let node = Node("QuantizeLinear", name: "", inputs: [], outputs: [])
    return try QuantizeLinear(node, opset: 13).forward(&operands, context)
  }
}
