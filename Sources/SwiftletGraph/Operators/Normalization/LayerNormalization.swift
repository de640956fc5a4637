// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// (x − mean) / √(variance + epsilon) over the axes from `axis` on, then scaled and shifted
/// elementwise; means and 1 / √(variance + epsilon) are optional outputs. `RMSNormalization`
/// divides by the root of the mean square and does not subtract the mean.
///
/// - Source: ONNX `LayerNormalization` and `RMSNormalization`; Ba, Kiros & Hinton 2016, Zhang &
///   Sennrich 2019.
public struct LayerNormalization: AnyElementOperator {
  public static let opType = "LayerNormalization"
  public static let opTypes = ["LayerNormalization", "RMSNormalization"]
  private let firstAxis: Int
  private let epsilon: Double
  private let centers: Bool
  private let givesStatistics: Bool
  public let gradientReads = GradientReads(inputs: [0, 1])

  public init(_ node: Node, opset: Int) throws {
    firstAxis = try node.int("axis", default: -1)
    epsilon = Double(try node.float("epsilon", default: 1e-5))
    centers = node.opType == "LayerNormalization"
    givesStatistics = centers && node.outputs.count > 1
    guard try node.int("stash_type", default: 1) == 1 else {
      throw SwiftletError(.unsupported, "\(node.opType) supports only fp32 as stash_type")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    let axis = try axis(firstAxis, rank: x.shape.rank)
    let row = Shape(Array(x.shape.dimensions[axis...]))
    _ = try required(inputs, 1, "scale")
    for case let parameter? in inputs.dropFirst() {
      guard parameter.dtype == x.dtype, parameter.shape.broadcast(with: row) == row else {
        throw mismatch(
          "scales or shifts \(parameter.dtype) \(parameter.shape) do not match \(x.dtype) \(row)")
      }
    }
    let statistics = TensorInfo(x.dtype, reduced(x.shape, axis))
    let result = TensorInfo(x.dtype, x.shape)
    return givesStatistics ? [result, statistics, statistics] : [result]
  }

  private func reduced(_ shape: Shape, _ axis: Int) -> Shape {
    Shape(shape.dimensions[..<axis] + [Int](repeating: 1, count: shape.rank - axis))
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0].take()! {
    case .float64(let x): try normalized(x, inputs, context.threads).map(AnyTensor.init)
    case let x: try normalized(x.require(Float.self), inputs, context.threads).map(AnyTensor.init)
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func normalized<T: LayerElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?], _ threads: Threads
  ) throws -> [Tensor<T>] {
    let shape = x.shape
    let axis = try axis(firstAxis, rank: shape.rank)
    let row = Shape(Array(shape.dimensions[axis...]))
    let scale = try inputs[1]!.require(T.self).broadcast(to: row).contiguous()
    let bias = try (inputs.count > 2 ? inputs[2] : nil)?.require(T.self).broadcast(to: row)
      .contiguous()
    var y = x.contiguous().reshaped(to: [shape.count(of: 0..<axis), row.count])
    let statistics = RowStatistics(y, epsilon: epsilon, centers: centers, threads)
    statistics.apply(&y, scale: scale, bias: bias, threads) { _, position in position }
    let reduced = reduced(shape, axis)
    let result = y.reshaped(to: shape)
    return givesStatistics
      ? [result, statistics.means(reduced), statistics.factors(reduced)] : [result]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    let axis = try axis(firstAxis, rank: shape.rank)
    let row = Shape(Array(shape.dimensions[axis...]))
    let rows: Shape = [shape.count(of: 0..<axis), row.count]
    let x = call.inputs[0]!.contiguous().reshaped(to: rows)
    let statistics = RowStatistics(x, epsilon: epsilon, centers: centers, context.threads)
    let found = statistics.gradients(
      x, outputGradient.contiguous().reshaped(to: rows),
      scale: call.inputs[1]!.broadcast(to: row).contiguous(), centers: centers
    ) { _, position in position }
    let gradients = [found.x.reshaped(to: shape), found.scale, found.bias]
    return call.inputShapes.enumerated().map { index, own in
      guard call.wanted[index], let own else { return nil }
      return index == 0 || own == row
        ? gradients[index] : Broadcast(own, to: row).sum(gradients[index])
    }
  }
}
