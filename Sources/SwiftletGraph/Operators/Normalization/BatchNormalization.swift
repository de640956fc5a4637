// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// y = scale · (x − mean) / √(variance + epsilon) + shift, per channel: x N×C×D1×…, the others C.
///
/// In training, mean and variance are those of the batch, and the running ones move towards them:
/// running ← momentum · running + (1 − momentum) · batch, as in ONNX's training mode (with the
/// biased variance). With the attribute `training_mode` the node computes this too, and the new
/// running values are outputs.
///
/// Up to operator set 8, with `spatial = 0`, every position of an image has separate parameters:
/// the others are C×D1×….
///
/// - Source: ONNX `BatchNormalization`; Ioffe & Szegedy 2015.
public struct BatchNormalization: FloatOperator {
  public static let opType = "BatchNormalization"
  public let gradientReads = GradientReads(inputs: [0, 1])
  public let untrainedInputs: Set<Int> = [3, 4]
  public let mixesBatch = true
  private let epsilon: Float
  private let momentum: Float
  /// Whether the node computes the statistics of its batch even outside training.
  private let trains: Bool
  private let isPerPosition: Bool

  public init(_ node: Node, opset: Int) throws {
    epsilon = try node.float("epsilon", default: 1e-5)
    momentum = try node.float("momentum", default: 0.9)
    trains = try opset >= 14 && node.int("training_mode", default: 0) != 0
    let isForInference = try opset >= 7 || node.int("is_test", default: 0) != 0
    guard isForInference, trains || node.outputs.dropFirst().allSatisfy(\.isEmpty) else {
      throw SwiftletError(
        .unsupported, "BatchNormalization saved in training mode is not supported",
        mend: "export the model for inference")
    }
    isPerPosition = try opset < 9 && node.int("spatial", default: 1) == 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank >= 2 else { throw mismatch("input \(x.shape) has no channel axis") }
    let own = isPerPosition ? Shape(Array(x.shape.dimensions[1...])) : [x.shape[1]]
    for (index, role) in ["scale", "shift", "mean", "variance"].enumerated() {
      let info = try floating(inputs, index + 1, role)
      guard info.shape == own, info.dtype == x.dtype else {
        throw mismatch("\(role) is \(info.dtype) \(info.shape) for input \(x.dtype) \(x.shape)")
      }
    }
    let result = TensorInfo(x.dtype, x.shape)
    let statistics = TensorInfo(x.dtype, [x.shape[1]])
    return trains ? [result, statistics, statistics] : [result]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    if isPerPosition {
      let shape = inputs[0]!.shape
      let inverse = inputs[4]!.reshaped(to: [shape.count(of: 1..<shape.rank)])
        .map { inverseDeviation($0) }
      let rows = inputs[0].take()!.reshaped(to: [shape[0], inverse.count])
      return [
        normalize(rows, inputs[1]!, inputs[2]!, inputs[3]!, inverse, context.threads)
          .reshaped(to: shape)
      ]
    }
    if trains { return try forwardForTraining(&inputs, context).outputs }
    let inverse = inputs[4]!.map { inverseDeviation($0) }
    return [
      normalize(inputs[0].take()!, inputs[1]!, inputs[2]!, inputs[3]!, inverse, context.threads)
    ]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forwardForTraining<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> TrainingResult<T> {
    guard !isPerPosition else {
      throw SwiftletError(
        .unsupported, "training of BatchNormalization with spatial = 0 is not supported")
    }
    let x = inputs[0].take()!.contiguous()
    let (mean, variance) = statistics(x, context.threads)
    let inverse = variance.map { inverseDeviation($0) }
    let y = normalize(x, inputs[1]!, inputs[2]!, mean, inverse, context.threads)
    let (newMean, newVariance) = (running(inputs[3]!, mean), running(inputs[4]!, variance))
    return TrainingResult(
      trains ? [y, newMean, newVariance] : [y], saved: [mean, inverse],
      updates: [3: newMean, 4: newVariance])
  }

  private func inverseDeviation<T: LayerElement>(_ variance: T) -> T {
    1 / (variance + T(epsilon)).squareRoot()
  }

  private func running<T: LayerElement>(_ old: Tensor<T>, _ batch: Tensor<T>) -> Tensor<T> {
    var result = old
    var values = result.mutableSpan
    for i in values.indices {
      values[i] = T(momentum) * values[i] + (1 - T(momentum)) * batch.span[i]
    }
    return result
  }

  private func normalize<T: LayerElement>(
    _ x: consuming Tensor<T>, _ scale: Tensor<T>, _ shift: Tensor<T>, _ mean: Tensor<T>,
    _ inverse: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    let (shape, channels) = (x.shape, x.shape[1])
    let area = shape.count(of: 2..<shape.rank)
    let (scale, shift, mean) = (scale.contiguous(), shift.contiguous(), mean.contiguous())
    var y = x.reshaped(to: [shape[0] * channels, area])
    // Drops the second reference, so that the values are overwritten in place.
    x = Tensor(uninitialized: [0])
    threads.forEachBlock(of: &y) { planes, output in
      for plane in planes {
        let channel = plane % channels
        let factor = scale.span[channel] * inverse.span[channel]
        let offset = shift.span[channel] - factor * mean.span[channel]
        let start = (plane - planes.lowerBound) * area
        var values = output.part(start..<start + area)
        for i in values.indices { values[i] = factor * values[i] + offset }
      }
    }
    return y.reshaped(to: shape)
  }

  /// Mean and biased variance per channel, in two passes.
  private func statistics<T: LayerElement>(
    _ x: Tensor<T>, _ threads: Threads
  ) -> (mean: Tensor<T>, variance: Tensor<T>) {
    let area = x.shape.count(of: 2..<x.shape.rank)
    let count = T(max(1, x.shape[0] * area))
    let mean = sumPerChannel(x.shape, threads) { plane, _ in
      T.sum(x.span.extracting(plane * area..<(plane + 1) * area))
    }.map { $0 / count }
    let variance = sumPerChannel(x.shape, threads) { plane, channel in
      let values = x.span.extracting(plane * area..<(plane + 1) * area)
      let center = mean.span[channel]
      var sum: T = 0
      for i in values.indices { sum += (values[i] - center) * (values[i] - center) }
      return sum
    }.map { $0 / count }
    return (mean, variance)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let x = call.inputs[0]!.contiguous()
    let scale = call.inputs[1]!.contiguous()
    let dy = outputGradient.contiguous()
    let (mean, inverse) = (call.saved[0], call.saved[1])
    let (images, channels) = (x.shape[0], x.shape[1])
    let area = x.shape.count(of: 2..<x.shape.rank)
    let shiftGradient = sumPerChannel(x.shape, context.threads) { plane, _ in
      T.sum(dy.span.extracting(plane * area..<(plane + 1) * area))
    }
    let scaleGradient = sumPerChannel(x.shape, context.threads) { plane, channel in
      let values = x.span.extracting(plane * area..<(plane + 1) * area)
      let slopes = dy.span.extracting(plane * area..<(plane + 1) * area)
      let center = mean.span[channel]
      var sum: T = 0
      for i in values.indices { sum += (values[i] - center) * slopes[i] }
      return sum * inverse.span[channel]
    }
    var result: [Tensor<T>?] = [nil, scaleGradient, shiftGradient, nil, nil]
    guard call.wanted[0] else { return result }
    // The batch statistics depend on x as well, so their part of the gradient is subtracted.
    let count = T(max(1, images * area))
    var dx = Tensor<T>(uninitialized: [images * channels, area])
    context.threads.forEachBlock(of: &dx) { planes, output in
      for plane in planes {
        let channel = plane % channels
        let values = x.span.extracting(plane * area..<(plane + 1) * area)
        let slopes = dy.span.extracting(plane * area..<(plane + 1) * area)
        let factor = scale.span[channel] * inverse.span[channel]
        let center = mean.span[channel]
        let meanSlope = shiftGradient.span[channel] / count
        let tilt = inverse.span[channel] * scaleGradient.span[channel] / count
        let start = (plane - planes.lowerBound) * area
        var target = output.part(start..<start + area)
        for i in target.indices {
          target[i] = factor * (slopes[i] - meanSlope - (values[i] - center) * tilt)
        }
      }
    }
    result[0] = dx.reshaped(to: x.shape)
    return result
  }
}
