// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// x where the condition is true and y elsewhere, with broadcasting.
///
/// - Source: ONNX `Where`.
public struct Where: AnyElementOperator {
  public static let opType = "Where"
  public let gradientReads = GradientReads()

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let condition = try required(inputs, 0, "condition") { $0 == .bool }
    let common = try broadcasting(Array(inputs.dropFirst()))
    guard let shape = common.shape.broadcast(with: condition.shape) else {
      throw mismatch("condition \(condition.shape) does not match \(common.shape)")
    }
    return [TensorInfo(common.dtype, shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let condition = try inputs[0]!.require(Bool.self)
    let (x, y) = (inputs[1].take()!, inputs[2].take()!)
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(choose(condition, try x.require(T.self), try y.require(T.self), context.threads))
    }
    return [try opened(x.dtype.elementType)]
  }

  @specialized(where T == Float)
  @specialized(where T == Int64)
  private func choose<T: TensorElement>(
    _ condition: Tensor<Bool>, _ x: Tensor<T>, _ y: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    let shape = x.shape.broadcast(with: y.shape)!.broadcast(with: condition.shape)!
    var result = x.filling(shape)
    update(&result, with: condition, y, threads) { row, condition, y in
      let (stepC, stepY) = (condition.count == 1 ? 0 : 1, y.count == 1 ? 0 : 1)
      for i in row.indices where !condition[i * stepC] { row[i] = y[i * stepY] }
    }
    return result
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let slope = outputGradient.contiguous()
    let condition = try call.others[0]!.require(Bool.self)
    return try call.inputShapes.enumerated().map { index, shape in
      guard index > 0, call.wanted[index], let shape else { return nil }
      let nothing = Tensor<T>(zeros: .scalar)
      var operands: [AnyTensor?] = [
        .bool(condition), AnyTensor(index == 1 ? slope : nothing),
        AnyTensor(index == 1 ? nothing : slope),
      ]
      let own: Tensor<T> = try forward(&operands, context)[0].require()
      return own.summed(to: shape)
    }
  }
}
