// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The product of fp32 rows, quantized by their current range, with 8-bit weights: y = (q − z) · (w
/// − z_w) · (s · s_w) + bias, with q, s, z from `DynamicQuantizeLinear`.
///
/// | input          | type         | shape                     |
/// |----------------|--------------|---------------------------|
/// | `a`            | fp32         | … × rows × K              |
/// | `b`            | int8 or uint8| K × N                     |
/// | `b_scale`      | fp32         | one, or one per column    |
/// | `b_zero_point` | as `b`       | optional; as `b_scale`    |
/// | `bias`         | fp32         | optional; N               |
///
/// Sessions substitute it for the equivalent ONNX nodes.
///
/// - Source: onnxruntime, "Contrib operators".
public struct DynamicQuantizeMatMul: Operator {
  public static let opType = "DynamicQuantizeMatMul"
  /// Its operator domain.
  public static let domain = "com.microsoft"
  private let product: MatMulInteger

  public init(_ node: Node, opset: Int) throws { product = try MatMulInteger(node, opset: opset) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let a = try required(inputs, 0, "left side") { $0 == .float32 }
    let b = try required(inputs, 1, "weights", where: \.isByte)
    let scale = try required(inputs, 2, "scale of the weights") { $0 == .float32 }
    guard b.shape.rank == 2, a.shape.rank > 0 else {
      throw mismatch("\(a.shape) and \(b.shape) do not match")
    }
    func fits(_ shape: Shape) -> Bool {
      shape.count == 1 || (shape.rank == 1 && shape[0] == b.shape[1])
    }
    guard fits(scale.shape) else {
      throw mismatch("scale \(scale.shape) does not match \(b.shape)")
    }
    if let bias = inputs.count > 4 ? inputs[4] : nil {
      guard bias.dtype == .float32, bias.shape == [b.shape[1]] else {
        throw mismatch("bias \(bias.dtype) \(bias.shape) does not match \(b.shape)")
      }
    }
    let codes = TensorInfo(.uint8, a.shape)
    let zero = inputs.count > 3 ? inputs[3] : nil
    let sums = try product.infer([codes, b, TensorInfo(.uint8, .scalar), zero])
    return [TensorInfo(.float32, sums[0].shape)]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    product.macs(inputs: inputs, outputs: outputs)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let a = try inputs[0]!.require(Float.self).contiguous()
    let range = DynamicRange(of: a)
    var operands: [AnyTensor?] = [
      .uint8(range.quantized(a, context.threads)), inputs[1],
      .uint8(Tensor(.scalar, [range.zeroPoint])),
      inputs.count > 3 ? inputs[3] : nil,
    ]
    let sums: Tensor<Int32> = try product.forward(&operands, context)[0].require()
    let scales: [Float] = try inputs[2]!.require(Float.self).elements.map { range.scale * $0 }
    let bias: [Float]? =
      try inputs.count > 4 ? inputs[4]?.require(Float.self).elements : nil
    let columns = inputs[1]!.shape[1]
    var y = Tensor<Float>(uninitialized: sums.shape)
    var target = y.mutableSpan
    let source = sums.span
    for i in target.indices {
      let column = i % columns
      let value = Float(source[i]) * scales[scales.count == 1 ? 0 : column]
      target[i] = bias.map { value + $0[column] } ?? value
    }
    return [.float32(y)]
  }
}
