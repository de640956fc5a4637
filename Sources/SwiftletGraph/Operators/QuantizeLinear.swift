public import SwiftletCore
import SwiftletKernels

/// q = saturate(round(x / scale) + zeroPoint), ties to even: fp32 → int8 or uint8, per tensor or
/// per index of one axis. The zero point's type decides the result's.
///
/// - Source: ONNX `QuantizeLinear`.
public struct QuantizeLinear: Operator {
  public static let opType = "QuantizeLinear"
  private let axis: Int

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 1)
    guard try node.int("block_size", default: 0) == 0 else {
      throw SwiftletError(.unsupported, "QuantizeLinear by blocks")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let scale = try required(inputs, 1, "scale")
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    guard x.dtype == .float32, scale.dtype == .float32 else {
      throw SwiftletError(.unsupported, "QuantizeLinear of \(x.dtype) by \(scale.dtype) scales")
    }
    let dtype = zeroPoint?.dtype ?? .uint8
    guard dtype == .int8 || dtype == .uint8 else {
      throw SwiftletError(.unsupported, "QuantizeLinear to \(dtype)")
    }
    _ = try QuantizationAxis(Self.opType, x.shape, axis, scale: scale.shape, zeroPoint?.shape)
    return [TensorInfo(dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = try inputs[0]!.require(Float.self).contiguous()
    let scales = try inputs[1]!.require(Float.self).elements
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    let layout = try QuantizationAxis(
      Self.opType, x.shape, axis, scale: inputs[1]!.shape, zeroPoint?.shape)
    switch zeroPoint {
    case .int8(let zeros):
      var q = Tensor<Int8>(uninitialized: x.shape)
      let points = zeros.elements
      layout.forEachRun(of: &q, context.pool) { run, index, output in
        Quantization.quantize(
          x.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
      return [.int8(q)]
    default:
      var q = Tensor<UInt8>(uninitialized: x.shape)
      let points = try zeroPoint?.require(UInt8.self).elements ?? scales.map { _ in 0 }
      layout.forEachRun(of: &q, context.pool) { run, index, output in
        Quantization.quantize(
          x.span.extracting(run), scale: scales[index], zeroPoint: points[index], into: &output)
      }
      return [.uint8(q)]
    }
  }
}

/// Which scale belongs to which elements: one for all, or one per index of an axis.
struct QuantizationAxis: Sendable {
  /// The tensor as outer × channels × inner; one scale has channels = 1.
  private let channels: Int
  private let inner: Int

  /// - Throws: `badInput` if the numbers of scales and zero points do not fit the axis.
  init(_ opType: String, _ shape: Shape, _ axis: Int, scale: Shape, _ zeroPoint: Shape?) throws {
    guard zeroPoint.map({ $0.count == scale.count }) ?? true else {
      throw SwiftletError(
        .badInput, "\(opType) has \(scale.count) scales and \(zeroPoint?.count ?? 0) zero points")
    }
    if scale.count == 1 && (scale.rank == 0 || shape.rank == 0 || scale.rank == 1) {
      (channels, inner) = (1, shape.count)
      return
    }
    let resolved = axis < 0 ? axis + shape.rank : axis
    guard scale.rank == 1, 0..<shape.rank ~= resolved, shape[resolved] == scale.count else {
      throw SwiftletError(
        .badInput, "\(opType) has scales \(scale) for axis \(axis) of shape \(shape)")
    }
    channels = scale.count
    inner = shape.count(of: resolved + 1..<shape.rank)
  }

  /// Visits the runs of elements that share a scale: their range, the scale's index, the output.
  func forEachRun<Element>(
    of tensor: inout Tensor<Element>, _ pool: ThreadPool,
    _ body: @Sendable (Range<Int>, Int, inout MutableSpan<Element>) -> Void
  ) {
    let shape = tensor.shape
    guard tensor.count > 0 else { return }
    // One scale: the pool cuts the elements wherever it likes. Several: between runs.
    let length = channels == 1 ? 1 : inner
    var rows = tensor.reshaped(to: [tensor.count / length, length])
    // Ends the second reference, so that the elements are written in place.
    tensor = Tensor(uninitialized: [0])
    pool.forEachBlock(of: &rows) { range, output in
      if channels == 1 { return body(range, 0, &output) }
      for run in range {
        let start = (run - range.lowerBound) * length
        var part = output.part(start..<start + length)
        body(run * length..<(run + 1) * length, run % channels, &part)
      }
    }
    tensor = rows.reshaped(to: shape)
  }
}
