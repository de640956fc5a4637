public import SwiftletCore
import SwiftletKernels

/// Quantization of fp32 to uint8 by a scale and a zero point that follow from the range of the
/// elements, 0 included: q = saturate(round(x / scale) + zeroPoint), ties to even.
///
/// scale = (max − min) / 255, or 1 where that is 0; zeroPoint = saturate(round(−min / scale)).
///
/// - Source: ONNX `DynamicQuantizeLinear`.
public struct DynamicQuantizeLinear: Operator {
  public static let opType = "DynamicQuantizeLinear"

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input") { $0 == .float32 }
    return [
      TensorInfo(.uint8, x.shape), TensorInfo(.float32, .scalar), TensorInfo(.uint8, .scalar),
    ]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = try inputs[0]!.require(Float.self).contiguous()
    let values = x.span
    var (least, greatest): (Float, Float) = (0, 0)
    for i in values.indices {
      least = min(least, values[i])
      greatest = max(greatest, values[i])
    }
    let range = (greatest - least) / 255
    let scale = range == 0 ? 1 : range
    let zero = UInt8(converting: Double((-least / scale).rounded(.toNearestOrEven)))
    var q = Tensor<UInt8>(uninitialized: x.shape)
    context.pool.forEachBlock(of: &q) { rows, output in
      guard !rows.isEmpty else { return }
      let length = output.count / rows.count
      Quantization.quantize(
        x.span.extracting(rows.lowerBound * length..<rows.upperBound * length), scale: scale,
        zeroPoint: zero, into: &output)
    }
    return [.uint8(q), .float32(Tensor(.scalar, [scale])), .uint8(Tensor(.scalar, [zero]))]
  }
}
