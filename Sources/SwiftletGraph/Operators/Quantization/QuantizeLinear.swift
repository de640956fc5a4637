// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// q = saturate(round(x / scale) + zeroPoint), ties to even: fp32 → integers of 2 to 16 bits or
/// floats of 4 or 8 bits, per tensor, per index of one axis, or per block of them. The zero point's
/// type determines the result's, or without one the attribute `output_dtype`.
///
/// - Source: ONNX `QuantizeLinear`.
public struct QuantizeLinear: Operator {
  public static let opType = "QuantizeLinear"
  private let axis, blockSize: Int
  private let output: DType?
  /// Whether 8-bit floats saturate at their highest number.
  private let saturates: Bool

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 1)
    blockSize = try node.blockSize()
    saturates = try node.int("saturate", default: 1) != 0
    let number = try node.int("output_dtype", default: 0)
    output = DType(onnx: number)
    guard number == 0 || output != nil else {
      throw SwiftletError(.unsupported, "QuantizeLinear to ONNX type \(number) is not supported")
    }
    guard try [0, 1].contains(node.int("precision", default: 0)) else {
      throw SwiftletError(.unsupported, "QuantizeLinear supports only fp32 precision")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let scale = try required(inputs, 1, "scale")
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    guard [.float32, .int32].contains(x.dtype), scale.dtype == .float32 else {
      throw SwiftletError(
        .unsupported, "QuantizeLinear of \(x.dtype) by \(scale.dtype) scales is not supported")
    }
    let dtype = zeroPoint?.dtype ?? output ?? .uint8
    guard [.int8, .uint8, .int16, .uint16].contains(dtype) || dtype.compactType != nil else {
      throw SwiftletError(.unsupported, "QuantizeLinear to \(dtype) is not supported")
    }
    if let output, output != dtype {
      throw mismatch("output_dtype \(output) contradicts the zero point's type \(dtype)")
    }
    _ = try layout(x.shape, scale.shape, zeroPoint?.shape)
    return [TensorInfo(dtype, x.shape)]
  }

  private func layout(_ x: Shape, _ scale: Shape, _ zeroPoint: Shape?) throws -> QuantizationLayout
  {
    try QuantizationLayout(
      Self.opType, x, axis: axis, blockSize: blockSize, scale: scale, zeroPoint)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = try inputs[0]!.converted(to: .float32).require(Float.self).contiguous()
    let scales = try inputs[1]!.require(Float.self).elements
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    let layout = try layout(x.shape, inputs[1]!.shape, zeroPoint?.shape)
    let dtype = zeroPoint?.dtype ?? output ?? .uint8
    switch dtype {
    case .int8 where layout.hasRuns:
      var q = Tensor<Int8>(uninitialized: x.shape)
      let points = try zeroPoint?.require(Int8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &q, context.threads) { run, index, output in
        Quantization.quantize(
          x.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
      return [.int8(q)]
    case .uint8 where layout.hasRuns:
      var q = Tensor<UInt8>(uninitialized: x.shape)
      let points = try zeroPoint?.require(UInt8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &q, context.threads) { run, index, output in
        Quantization.quantize(
          x.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
      return [.uint8(q)]
    default:
      let points =
        try zeroPoint?.converted(to: .float64).require(Double.self).elements
        ?? scales.map { _ in 0 }
      func opened<T: TensorElement>(_: T.Type) -> AnyTensor {
        AnyTensor(quantized(x, scales, points, layout, context.threads) as Tensor<T>)
      }
      func float<T: CompactFloat>(_: T.Type) -> AnyTensor {
        AnyTensor(rounded(x, scales, points, layout, context.threads) as Tensor<T>)
      }
      guard let compact = dtype.compactType as? any CompactFloat.Type else {
        return [opened(dtype.elementType)]
      }
      return [float(compact)]
    }
  }

  @specialized(where T == Int16)
  @specialized(where T == Int4)
  private func quantized<T: TensorElement>(
    _ x: Tensor<Float>, _ scales: [Float], _ points: [Double], _ layout: QuantizationLayout,
    _ threads: Threads
  ) -> Tensor<T> {
    var q = Tensor<T>(uninitialized: x.shape)
    layout.fill(&q, threads) { position, scale in
      let steps = (x.span[position] / scales[scale]).rounded(.toNearestOrEven)
      return T(converting: (steps.isNaN ? 0 : Double(steps)) + points[scale])
    }
    return q
  }

  private func rounded<T: CompactFloat>(
    _ x: Tensor<Float>, _ scales: [Float], _ points: [Double], _ layout: QuantizationLayout,
    _ threads: Threads
  ) -> Tensor<T> {
    let saturates = saturates
    var q = Tensor<T>(uninitialized: x.shape)
    layout.fill(&q, threads) { position, scale in
      T(rounding: Double(x.span[position] / scales[scale]) + points[scale], saturates: saturates)
    }
    return q
  }
}

extension Node {
  /// The number of indices of an axis that share a scale; 0 without blocks.
  func blockSize() throws -> Int {
    let size = try int("block_size", default: 0)
    guard size >= 0 else {
      throw SwiftletError(.badInput, "\(opType) has block_size = \(size), which must be at least 0")
    }
    return size
  }
}
