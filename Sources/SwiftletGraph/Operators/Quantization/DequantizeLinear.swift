// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// x = (q − zeroPoint) · scale: integers of 2 to 32 bits or floats of 4 or 8 bits → fp32, per
/// tensor, per index of one axis, or per block of them.
///
/// - Source: ONNX `DequantizeLinear`.
public struct DequantizeLinear: Operator {
  public static let opType = "DequantizeLinear"
  private let axis, blockSize: Int

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 1)
    blockSize = try node.blockSize()
    let number = try node.int("output_dtype", default: 0)
    guard number == 0 || DType(onnx: number) == .float32 else {
      throw SwiftletError(.unsupported, "DequantizeLinear to ONNX type \(number) is not supported")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let q = try required(inputs, 0, "input")
    let scale = try required(inputs, 1, "scale")
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    let isQuantized =
      [.int8, .uint8, .int16, .uint16, .int32].contains(q.dtype) || q.dtype.compactType != nil
    guard isQuantized, scale.dtype == .float32 else {
      throw SwiftletError(
        .unsupported, "DequantizeLinear of \(q.dtype) by \(scale.dtype) scales is not supported")
    }
    if let zeroPoint, zeroPoint.dtype != q.dtype {
      throw mismatch("zero point is \(zeroPoint.dtype), input \(q.dtype)")
    }
    _ = try layout(q.shape, scale.shape, zeroPoint?.shape)
    return [TensorInfo(.float32, q.shape)]
  }

  private func layout(_ q: Shape, _ scale: Shape, _ zeroPoint: Shape?) throws -> QuantizationLayout
  {
    try QuantizationLayout(
      Self.opType, q, axis: axis, blockSize: blockSize, scale: scale, zeroPoint)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let input = inputs[0]!
    let scales = try inputs[1]!.require(Float.self).elements
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    let layout = try layout(input.shape, inputs[1]!.shape, zeroPoint?.shape)
    var x = Tensor<Float>(uninitialized: input.shape)
    switch input {
    case .int8(let tensor) where layout.hasRuns:
      let q = tensor.contiguous()
      let points = try zeroPoint?.require(Int8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &x, context.threads) { run, index, output in
        Quantization.dequantize(
          q.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
    case .uint8(let tensor) where layout.hasRuns:
      let q = tensor.contiguous()
      let points = try zeroPoint?.require(UInt8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &x, context.threads) { run, index, output in
        Quantization.dequantize(
          q.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
    default:
      let q = try input.converted(to: .float64).require(Double.self).contiguous()
      let points =
        try zeroPoint?.converted(to: .float64).require(Double.self).elements
        ?? scales.map { _ in 0 }
      layout.fill(&x, context.threads) { position, scale in
        Float(q.span[position] - points[scale]) * scales[scale]
      }
    }
    return [.float32(x)]
  }
}
