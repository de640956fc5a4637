// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// An `LSTM` with 8-bit weights, whose products quantize their inputs by the current range: the
/// whole input once, the hidden states of the batch in each step.
///
/// | input                               | type          | shape                                |
/// |-------------------------------------|---------------|--------------------------------------|
/// | `X`, `W`, `R`, `B` … `P`            | as in `LSTM`  | as in `LSTM`, `W` and `R` transposed |
/// | `W_scale`, `R_scale`                | fp32          | D or D × 4·hidden                    |
/// | `W_zero_point`, `R_zero_point`      | as `W` and `R`| as the scales                        |
///
/// with D directions, `W` of D × input × 4·hidden and `R` of D × hidden × 4·hidden. Products are
/// computed in fp32 on the dequantized values.
///
/// - Source: onnxruntime, "Contrib operators".
public struct DynamicQuantizeLSTM: Operator {
  public static let opType = "DynamicQuantizeLSTM"
  /// Its operator domain.
  public static let domain = DynamicQuantizeMatMul.domain
  private let lstm: LSTM

  public init(_ node: Node, opset: Int) throws { lstm = try LSTM(node, opset: opset) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    _ = try required(inputs, 0, "input") { $0 == .float32 }
    var plain = Array(inputs.prefix(8))
    for (weights, scale, zero) in Self.weights {
      let codes = try required(inputs, weights, "weights", where: \.isByte)
      guard codes.shape.rank == 3 else {
        throw mismatch("weights \(codes.shape) do not have rank 3")
      }
      let directions = codes.shape[0]
      let channels = codes.shape[2]
      func fits(_ info: TensorInfo) -> Bool {
        info.shape == [directions] || info.shape == [directions, channels]
      }
      let scales = try required(inputs, scale, "scale of the weights") { $0 == .float32 }
      guard fits(scales) else {
        throw mismatch("scale \(scales.shape) does not match \(codes.shape)")
      }
      if let points = zero < inputs.count ? inputs[zero] : nil {
        guard points.dtype == codes.dtype, fits(points) else {
          throw mismatch("zero point \(points.dtype) \(points.shape) does not match \(codes.shape)")
        }
      }
      plain[weights] = TensorInfo(.float32, [directions, channels, codes.shape[1]])
    }
    return try lstm.infer(plain)
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    var plain = Array(inputs.prefix(8))
    for (weights, _, _) in Self.weights {
      guard let shape = plain[weights], shape.rank == 3 else { return 0 }
      plain[weights] = [shape[0], shape[2], shape[1]]
    }
    return lstm.macs(inputs: plain, outputs: outputs)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    var plain = Array(inputs.prefix(8))
    for (weights, scale, zero) in Self.weights {
      plain[weights] = .float32(
        try restored(
          inputs[weights]!, inputs[scale]!.require(), zero < inputs.count ? inputs[zero] : nil))
    }
    return try lstm.compute(plain, context.threads) { (values: Tensor<Float>) in
      let packed = values.contiguous()
      let range = DynamicRange(of: packed)
      let (scale, zero) = (range.scale, Float(range.zeroPoint))
      return range.quantized(packed, context.threads).map { (Float($0) - zero) * scale }
    }.map(AnyTensor.init)
  }

  /// Positions of the weights, of their scales, and of their zero points.
  private static let weights = [(1, 8, 9), (2, 10, 11)]

  /// The weights D×O×I decoded from codes D×I×O.
  private func restored(
    _ codes: AnyTensor, _ scales: Tensor<Float>, _ zeroPoints: AnyTensor?
  ) throws -> Tensor<Float> {
    var result: Tensor<Float> = try codes.converted(to: .float32).require()
      .permuted(to: [0, 2, 1]).contiguous()
    let points: [Float]? = try zeroPoints?.converted(to: .float32).require().elements
    let factors = scales.elements
    let (channels, depth) = (result.shape[1], result.shape[2])
    let rows = result.shape[0] * channels
    var values = result.mutableSpan
    for row in 0..<rows {
      let place = scales.shape.rank == 1 ? row / channels : row
      let zero = points?[place] ?? 0
      for i in row * depth..<(row + 1) * depth { values[i] = (values[i] - zero) * factors[place] }
    }
    return result
  }
}
