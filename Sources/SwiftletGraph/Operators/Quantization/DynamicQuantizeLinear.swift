// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// Quantization of fp32 to uint8 by a scale and a zero point derived from the range of the
/// elements, including 0: q = saturate(round(x / scale) + zeroPoint), ties to even.
///
/// scale = (max − min) / 255, or 1 if that is 0; zeroPoint = saturate(round(−min / scale)).
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
    let range = DynamicRange(of: x)
    return [
      .uint8(range.quantized(x, context.threads)), .float32(Tensor(.scalar, [range.scale])),
      .uint8(Tensor(.scalar, [range.zeroPoint])),
    ]
  }
}

/// The range of some elements and 0, and the resulting codes.
package struct DynamicRange: Sendable, Equatable {
  package private(set) var least: Float = 0
  package private(set) var greatest: Float = 0

  package init() {}

  init(of tensor: Tensor<Float>) { add(tensor.span) }

  /// NaN does not extend the range.
  package mutating func add(_ values: Span<Float>) {
    let width = SIMD8<Float>.scalarCount
    let whole = values.count / width * width
    var (low, high) = (SIMD8<Float>(repeating: least), SIMD8<Float>(repeating: greatest))
    unsafe values.withUnsafeBytes { bytes in
      for start in stride(from: 0, to: whole, by: width) {
        let lanes = unsafe bytes.loadUnaligned(fromByteOffset: 4 * start, as: SIMD8<Float>.self)
        low.replace(with: lanes, where: lanes .< low)
        high.replace(with: lanes, where: lanes .> high)
      }
    }
    (least, greatest) = (low.min(), high.max())
    for i in whole..<values.count {
      if values[i] < least { least = values[i] }
      if values[i] > greatest { greatest = values[i] }
    }
  }

  package mutating func formUnion(_ other: DynamicRange) {
    (least, greatest) = (min(least, other.least), max(greatest, other.greatest))
  }

  package var scale: Float {
    let step = (greatest - least) / 255
    return step == 0 ? 1 : step
  }

  package var zeroPoint: UInt8 {
    UInt8(converting: Double((-least / scale).rounded(.toNearestOrEven)))
  }

  func quantized(_ x: Tensor<Float>, _ threads: Threads) -> Tensor<UInt8> {
    let (scale, zero) = (scale, zeroPoint)
    var q = Tensor<UInt8>(uninitialized: x.shape)
    threads.forEachBlock(of: &q) { rows, output in
      guard !rows.isEmpty else { return }
      let length = output.count / rows.count
      Quantization.quantize(
        x.span.extracting(rows.lowerBound * length..<rows.upperBound * length), scale: scale,
        zeroPoint: zero, into: &output)
    }
    return q
  }
}
