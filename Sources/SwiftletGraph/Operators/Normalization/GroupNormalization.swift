// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// (x − mean) / √(variance + epsilon) over all positions of a group of channels, then scaled and
/// shifted per channel.
///
/// - Source: ONNX `InstanceNormalization` (groups of one channel) and `GroupNormalization` (up to
///   operator set 20, scale and bias are per group); Wu & He 2018.
public struct GroupNormalization: AnyElementOperator {
  public static let opType = "GroupNormalization"
  public static let opTypes = ["GroupNormalization", "InstanceNormalization"]
  private let epsilon: Double
  /// `nil`: each channel is a group.
  private let groups: Int?
  private let scalesGroups: Bool
  public let gradientReads = GradientReads(inputs: [0, 1])

  public init(_ node: Node, opset: Int) throws {
    epsilon = Double(try node.float("epsilon", default: 1e-5))
    groups = node.opType == "GroupNormalization" ? try node.int("num_groups", default: 0) : nil
    scalesGroups = groups != nil && opset < 21
    guard groups ?? 1 >= 1 else {
      throw SwiftletError(
        .badInput, "GroupNormalization has num_groups = \(groups!), which must be at least 1")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank >= 2, x.shape[1] % (groups ?? 1) == 0 else {
      throw mismatch("\(groups ?? 1) group(s) do not divide the channels of \(x.shape)")
    }
    let count = scalesGroups ? groups! : x.shape[1]
    for (index, role) in [(1, "scale"), (2, "bias")] {
      let vector = try floating(inputs, index, role)
      guard vector.dtype == x.dtype, vector.shape == [count] else {
        throw mismatch("\(role) is \(vector.dtype) \(vector.shape), not \(x.dtype) [\(count)]")
      }
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0].take()! {
    case .float64(let x): [.float64(try normalized(x, inputs, context.threads))]
    case let x: [.float32(try normalized(x.require(), inputs, context.threads))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func normalized<T: LayerElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?], _ threads: Threads
  ) throws -> Tensor<T> {
    let scale = try inputs[1]!.require(T.self).contiguous()
    let bias = try inputs[2]!.require(T.self).contiguous()
    let shape = x.shape
    guard shape.count > 0 else { return x }
    let (channels, area) = (shape[1], shape.count(of: 2..<shape.rank))
    let groups = groups ?? channels
    let perGroup = channels / groups
    let scalesGroups = scalesGroups
    var y = x.contiguous().reshaped(to: [shape[0] * groups, perGroup * area])
    let statistics = RowStatistics(y, epsilon: epsilon, centers: true, threads)
    statistics.apply(&y, scale: scale, bias: bias, threads) { row, position in
      scalesGroups ? row % groups : row % groups * perGroup + position / area
    }
    return y.reshaped(to: shape)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    let (channels, area) = (shape[1], shape.count(of: 2..<shape.rank))
    let (groups, scalesGroups) = (groups ?? channels, scalesGroups)
    let perGroup = channels / groups
    let rows: Shape = [shape[0] * groups, perGroup * area]
    let x = call.inputs[0]!.contiguous().reshaped(to: rows)
    let statistics = RowStatistics(x, epsilon: epsilon, centers: true, context.threads)
    let found = statistics.gradients(
      x, outputGradient.contiguous().reshaped(to: rows), scale: call.inputs[1]!.contiguous(),
      centers: true
    ) { row, position in
      scalesGroups ? row % groups : row % groups * perGroup + position / area
    }
    return [found.x.reshaped(to: shape), found.scale, found.bias]
  }
}
