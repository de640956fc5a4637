public import SwiftletCore
import SwiftletKernels

/// x = (q − zeroPoint) · scale: int8, uint8 or int32 → fp32, per tensor or per index of one axis.
///
/// - Source: ONNX `DequantizeLinear`.
public struct DequantizeLinear: Operator {
  public static let opType = "DequantizeLinear"
  private let axis: Int

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 1)
    guard try node.int("block_size", default: 0) == 0 else {
      throw SwiftletError(.unsupported, "DequantizeLinear by blocks")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let q = try required(inputs, 0, "input")
    let scale = try required(inputs, 1, "scale")
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    guard [.int8, .uint8, .int32].contains(q.dtype), scale.dtype == .float32 else {
      throw SwiftletError(.unsupported, "DequantizeLinear of \(q.dtype) by \(scale.dtype) scales")
    }
    if let zeroPoint, zeroPoint.dtype != q.dtype {
      throw mismatch("zero point is \(zeroPoint.dtype) for \(q.dtype) input")
    }
    _ = try QuantizationAxis(Self.opType, q.shape, axis, scale: scale.shape, zeroPoint?.shape)
    return [TensorInfo(.float32, q.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let input = inputs[0]!
    let scales = try inputs[1]!.require(Float.self).elements
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    let layout = try QuantizationAxis(
      Self.opType, input.shape, axis, scale: inputs[1]!.shape, zeroPoint?.shape)
    var x = Tensor<Float>(uninitialized: input.shape)
    switch input {
    case .int8(let tensor):
      let q = tensor.contiguous()
      let points = try zeroPoint?.require(Int8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &x, context.pool) { run, index, output in
        Quantization.dequantize(
          q.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
    case .uint8(let tensor):
      let q = tensor.contiguous()
      let points = try zeroPoint?.require(UInt8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &x, context.pool) { run, index, output in
        Quantization.dequantize(
          q.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
    default:
      let q = try input.require(Int32.self).contiguous()
      let points = try zeroPoint?.require(Int32.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &x, context.pool) { run, index, output in
        let values = q.span.extracting(run)
        for i in values.indices {
          output[i] = Float(values[i] &- points[index]) * scales[index]
        }
      }
    }
    return [.float32(x)]
  }
}
