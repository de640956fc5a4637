// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// In training, sets each element to zero with probability `ratio` and scales the others by
/// 1 / (1 − ratio); otherwise y = x.
///
/// - Source: ONNX `Dropout`; Srivastava et al. 2014. The ratio is an attribute up to operator set
///   11 and a constant input from 12 on.
public struct Dropout: FloatOperator {
  public static let opType = "Dropout"
  public let gradientReads = GradientReads()
  public let untrainedInputs: Set<Int> = [1, 2]
  private let attributeRatio: Float
  private let hasMask: Bool
  /// Up to operator set 9 the mask has the type of the input.
  private let maskIsBool: Bool

  public init(_ node: Node, opset: Int) throws {
    attributeRatio = try node.float("ratio", default: 0.5)
    hasMask = node.outputs.count > 1
    maskIsBool = opset >= 10
    guard 0..<1 ~= attributeRatio else {
      throw SwiftletError(
        .badInput, "Dropout has ratio = \(attributeRatio), which must be at least 0 and below 1")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    if inputs.count > 1, let ratio = inputs[1], ratio.shape.count != 1 {
      throw mismatch("the ratio is not a single number but \(ratio.shape)")
    }
    if inputs.count > 2, let mode = inputs[2] {
      guard mode.dtype == .bool, mode.shape.count == 1 else {
        throw mismatch("training_mode is \(mode.dtype) \(mode.shape), not one bool")
      }
      guard case .bool(let isOn)? = mode.value else { throw DataDependentShape() }
      if isOn.elements[0] { try requireNothingDropped(inputs[1]) }
    }
    let result = TensorInfo(x.dtype, x.shape)
    return hasMask ? [result, TensorInfo(maskIsBool ? .bool : x.dtype, x.shape)] : [result]
  }

  /// - Throws: `unsupported` unless the ratio is 0: the dropped elements are random.
  private func requireNothingDropped(_ ratio: TensorInfo?) throws {
    let value = try ratio.map { try reals($0, "ratio")[0] } ?? Double(attributeRatio)
    guard value == 0 else {
      throw SwiftletError(
        .unsupported, "Dropout with training_mode outside training is not supported")
    }
  }

  /// Outside training nothing is dropped: the mask, if requested, is true everywhere.
  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    guard hasMask else { return [x] }
    let mask = AnyTensor.bool(Tensor(x.shape, repeating: true))
    return [x, maskIsBool ? mask : mask.converted(to: x.dtype)]
  }

  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    [inputs[0].take()!]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forwardForTraining<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> TrainingResult<T> {
    var y = inputs[0].take()!
    let ratio = inputs.count > 1 ? inputs[1].map { Double($0.elements[0]) } : nil
    let probability = ratio ?? Double(attributeRatio)
    guard 0..<1 ~= probability else {
      throw SwiftletError(
        .badInput, "Dropout has ratio = \(probability), which must be at least 0 and below 1")
    }
    var generator = RandomGenerator(seed: context.seed)
    let scale = T(1 / (1 - probability))
    let mask = Tensor<T>(zeros: y.shape).map { _ in
      generator.uniform() < probability ? 0 : scale
    }
    multiply(&y, by: mask)
    return TrainingResult([y], saved: [mask])
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    var slope = outputGradient
    multiply(&slope, by: call.saved[0])
    return [slope] + [Tensor<T>?](repeating: nil, count: call.wanted.count - 1)
  }

  private func multiply<T: LayerElement>(_ tensor: inout Tensor<T>, by mask: Tensor<T>) {
    let factors = mask.span
    var values = tensor.mutableSpan
    for i in values.indices { values[i] *= factors[i] }
  }
}
