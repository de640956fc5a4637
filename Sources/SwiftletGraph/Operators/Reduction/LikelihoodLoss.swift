// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// The negative log-probability of the target class at each position, weighted by class, and summed
/// or averaged: scores N×C×…, classes N×….
///
/// The scores of `NegativeLogLikelihoodLoss` are log-probabilities; `SoftmaxCrossEntropyLoss`
/// computes them by a softmax and returns them as a second output.
///
/// - Source: ONNX operators of these names.
public struct LikelihoodLoss: Operator {
  public static let opType = "LikelihoodLoss"
  public static let opTypes = ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"]
  private enum Reduction: String { case none, sum, mean }
  private let reduction: Reduction
  private let ignored: Int?
  private let normalizes, givesLogarithms: Bool

  public init(_ node: Node, opset: Int) throws {
    let name = try node.string("reduction", default: "mean")
    guard let reduction = Reduction(rawValue: name) else {
      throw SwiftletError(
        .badInput, "\(node.opType) has reduction '\(name)', which must be none, sum or mean")
    }
    self.reduction = reduction
    let hasIgnored = node.attributes["ignore_index"] != nil
    ignored = hasIgnored ? try node.int("ignore_index", default: 0) : nil
    normalizes = node.opType == "SoftmaxCrossEntropyLoss"
    givesLogarithms = normalizes && node.outputs.count > 1
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "scores")
    let classes = try required(inputs, 1, "classes") { $0 == .int64 || $0 == .int32 }
    guard x.shape.rank >= 2 else { throw mismatch("scores \(x.shape) have no axis of classes") }
    var extents = x.shape.dimensions
    extents.remove(at: 1)
    guard classes.shape.dimensions == extents else {
      throw mismatch("classes \(classes.shape) do not match scores \(x.shape)")
    }
    if inputs.count > 2, let weights = inputs[2] {
      guard weights.dtype == x.dtype, weights.shape == [x.shape[1]] else {
        throw mismatch(
          "weights \(weights.dtype) \(weights.shape) do not match \(x.shape[1]) classes")
      }
    }
    let loss = TensorInfo(x.dtype, reduction == .none ? classes.shape : .scalar)
    return givesLogarithms ? [loss, TensorInfo(x.dtype, x.shape)] : [loss]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let classes = inputs[1]!
    let weights = inputs.count > 2 ? inputs[2] : nil
    switch inputs[0]! {
    case .float64(let x):
      return try losses(x, classes, weights?.require()).map(AnyTensor.init)
    case let x:
      return try losses(x.require(Float.self), classes, weights?.require()).map(AnyTensor.init)
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func losses<T: LayerElement>(
    _ x: Tensor<T>, _ classes: AnyTensor, _ weights: Tensor<T>?
  ) throws -> [Tensor<T>] {
    let scores = normalizes ? logarithms(x.contiguous()) : x.contiguous()
    let (count, area) = (x.shape[1], x.shape.count(of: 2..<x.shape.rank))
    let weights = weights?.elements
    var losses = [T](repeating: 0, count: classes.shape.count)
    var (sum, total): (T, T) = (0, 0)
    for (position, label) in classes.integers.enumerated() where label != ignored {
      guard 0..<count ~= label else { throw mismatch("class \(label) is not in 0..<\(count)") }
      let weight = weights?[label] ?? 1
      let place = (position / area * count + label) * area + position % area
      losses[position] = -scores.span[place] * weight
      sum += losses[position]
      total += weight
    }
    let loss: Tensor<T> =
      switch reduction {
      case .none: Tensor(classes.shape, losses)
      case .sum: Tensor(.scalar, [sum])
      case .mean: Tensor(.scalar, [sum / total])
      }
    return givesLogarithms ? [loss, scores] : [loss]
  }

  /// The log-softmax over the second axis.
  private func logarithms<T: LayerElement>(_ x: Tensor<T>) -> Tensor<T> {
    let (count, area) = (x.shape[1], x.shape.count(of: 2..<x.shape.rank))
    var result = x
    var values = result.mutableSpan
    for image in 0..<x.shape[0] {
      for column in 0..<area {
        let start = image * count * area + column
        var greatest = -T.infinity
        for i in 0..<count { greatest = max(greatest, values[start + i * area]) }
        var sum: T = 0
        for i in 0..<count { sum += T.exp(values[start + i * area] - greatest) }
        let offset = greatest + T.log(sum)
        for i in 0..<count { values[start + i * area] -= offset }
      }
    }
    return result
  }
}
