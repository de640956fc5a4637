// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Convolution of quantized images with quantized weights to a quantized result: exact sums plus an
/// int32 bias, scaled by xScale · wScale / yScale.
///
/// q = saturate(roundTiesToEven(sum · scale) + yZeroPoint); the multiplication is in fp32.
///
/// - Source: ONNX `QLinearConv`. Weights are quantized per tensor or per output channel.
public struct QLinearConv: Operator {
  public static let opType = "QLinearConv"
  private let convolution: IntegerConvolution

  public init(_ node: Node, opset: Int) throws { convolution = try IntegerConvolution(node) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isByte)
    let w = try required(inputs, 3, "weight", where: \.isByte)
    let zeroX = try required(inputs, 2, "zero point of the input")
    let zeroW = try required(inputs, 5, "zero point of the weights")
    let zeroY = try required(inputs, 7, "zero point of the result", where: \.isByte)
    let shape = try convolution.infer(x, w, zeroPoints: zeroX, zeroW)
    for (index, role) in [(1, "input"), (4, "weights"), (6, "result")] {
      let scale = try required(inputs, index, "scale of the \(role)")
      let counts = index == 4 ? [1, w.shape[0]] : [1]
      guard scale.dtype == .float32, counts.contains(scale.shape.count) else {
        throw mismatch(
          "scale of the \(role) is \(scale.dtype) \(scale.shape), which does not match")
      }
    }
    guard zeroY.shape.count == 1 else {
      throw mismatch(
        "the zero point of the result has shape \(zeroY.shape), but must be one element")
    }
    if inputs.count > 8, let bias = inputs[8] {
      guard bias.dtype == .int32, bias.shape == [w.shape[0]] else {
        throw mismatch(
          "bias \(bias.dtype) \(bias.shape) does not match \(w.shape[0]) output channels")
      }
    }
    return [TensorInfo(zeroY.dtype, shape)]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let weights = inputs[3] else { return 0 }
    return outputs[0].count * weights.count(of: 1..<weights.rank)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let bias: Tensor<Double>? =
      inputs.count > 8 ? try inputs[8]?.converted(to: .float64).require() : nil
    let sums = try convolution.sums(
      inputs[0]!, inputs[2], inputs[3]!, inputs[5], bias: bias, context.threads)
    let (channels, area) = (sums.shape[1], max(1, sums.shape.count(of: 2..<sums.shape.rank)))
    let xScale = try inputs[1]!.require(Float.self).elements[0]
    let wScales = try inputs[4]!.require(Float.self).elements
    let yScale = try inputs[6]!.require(Float.self).elements[0]
    let scales = wScales.map { xScale * $0 / yScale }
    let scaled = sums.elements.enumerated().map { position, sum in
      Float(sum) * scales[scales.count == 1 ? 0 : position / area % channels]
    }
    // The remaining steps, rounding, shifting and saturating, are a quantization by a scale of 1.
    var operands: [AnyTensor?] = [
      .float32(Tensor(sums.shape, scaled)), .float32(Tensor([], [1])), inputs[7],
    ]
    let node = Node("QuantizeLinear", name: "", inputs: [], outputs: [])
    return try QuantizeLinear(node, opset: 13).forward(&operands, context)
  }
}
