// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Convolution of 8-bit integers with exact sums: (x − zeroPoint) ∗ (w − zeroPoint) → int32.
///
/// - Source: ONNX `ConvInteger`. The weights' zero point may be one per output channel.
public struct ConvInteger: Operator {
  public static let opType = "ConvInteger"
  private let convolution: IntegerConvolution

  public init(_ node: Node, opset: Int) throws { convolution = try IntegerConvolution(node) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isByte)
    let w = try required(inputs, 1, "weight", where: \.isByte)
    let shape = try convolution.infer(
      x, w, zeroPoints: inputs.count > 2 ? inputs[2] : nil, inputs.count > 3 ? inputs[3] : nil)
    return [TensorInfo(.int32, shape)]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let weights = inputs[1] else { return 0 }
    return outputs[0].count * weights.count(of: 1..<weights.rank)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let sums = try convolution.sums(
      inputs[0]!, inputs.count > 2 ? inputs[2] : nil, inputs[1]!,
      inputs.count > 3 ? inputs[3] : nil, context.threads)
    return [.int32(sums.map { Int32(truncatingIfNeeded: Int64($0)) })]
  }
}

/// The part shared by convolutions of 8-bit integers.
struct IntegerConvolution: Sendable {
  private let geometry: ConvGeometry
  private let opType: String

  init(_ node: Node) throws {
    geometry = try ConvGeometry(node)
    opType = node.opType
  }

  /// - Throws: `badInput` if the parts do not match each other or the attributes.
  func infer(
    _ x: TensorInfo, _ w: TensorInfo, zeroPoints zeroX: TensorInfo?, _ zeroW: TensorInfo?
  ) throws -> Shape {
    let shape = try geometry.infer(x.shape, w.shape)
    if let zeroX, zeroX.dtype != x.dtype || zeroX.shape.count != 1 {
      throw mismatch("zero point \(zeroX.dtype) \(zeroX.shape) does not match input \(x.dtype)")
    }
    if let zeroW, zeroW.dtype != w.dtype || ![1, w.shape[0]].contains(zeroW.shape.count) {
      throw mismatch(
        "zero point \(zeroW.dtype) \(zeroW.shape) does not match weights \(w.dtype) \(w.shape)")
    }
    return shape
  }

  /// The sums of products, exact: double precision holds integers up to 2⁵³, which 2³⁷ products of
  /// 8-bit differences cannot exceed.
  func sums(
    _ x: AnyTensor, _ zeroX: AnyTensor?, _ w: AnyTensor, _ zeroW: AnyTensor?,
    bias: Tensor<Double>? = nil, _ threads: Threads
  ) throws -> Tensor<Double> {
    let images = try Self.differences(x, zeroX)
    let weights = try Self.differences(w, zeroW)
    return try geometry.convolution(x.shape, w.shape)
      .result(of: images, weights, bias: bias, threads)
  }

  /// q − zeroPoint, with one zero point or one per index of the first axis.
  private static func differences(
    _ q: AnyTensor, _ zeroPoint: AnyTensor?
  ) throws -> Tensor<Double> {
    let values: Tensor<Double> = try q.converted(to: .float64).require()
    guard let zeroPoint, values.count > 0 else { return values }
    let zeros = zeroPoint.integers.map(Double.init)
    let run = zeros.count == 1 ? values.count : values.count / q.shape[0]
    return Tensor(
      q.shape, values.elements.enumerated().map { $1 - zeros[zeros.count == 1 ? 0 : $0 / run] })
  }

  private func mismatch(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, "\(opType): \(what)")
  }
}

extension DType {
  /// Whether elements are 8-bit integers.
  var isByte: Bool { self == .int8 || self == .uint8 }
}
