// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// y = base ^ exponent, elementwise with broadcasting, in the base's type.
///
/// An integer base and exponent are multiplied and wrap; with a floating-point exponent, the power
/// is computed in double precision and truncated to an integer.
///
/// - Source: ONNX `Pow`.
public struct Pow: AnyElementOperator {
  public static let opType = "Pow"
  public let gradientReads = GradientReads(inputs: [0, 1])
  /// An exponent that is a constant is part of the formula.
  public let untrainedInputs: Set<Int> = [1]

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let base = try required(inputs, 0, "base", where: \.isNumber)
    let exponent = try required(inputs, 1, "exponent", where: \.isNumber)
    guard let shape = base.shape.broadcast(with: exponent.shape) else {
      throw mismatch("\(base.shape) and \(exponent.shape) do not match")
    }
    return [TensorInfo(base.dtype, shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let (base, exponent) = (inputs[0].take()!, inputs[1].take()!)
    let dtype = base.dtype
    let common = dtype.isFloat ? dtype : exponent.dtype.isFloat ? .float64 : .int64
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(
        power(
          try base.converted(to: common).require(T.self),
          try exponent.converted(to: common).require(T.self), context.threads))
    }
    return [try opened(common.numberType()).converted(to: dtype)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int64)
  private func power<T: NumberElement>(
    _ base: Tensor<T>, _ exponent: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    var result = base.filling(base.shape.broadcast(with: exponent.shape)!)
    update(&result, with: exponent, threads) { row, exponent in
      combine(&row, exponent) { $0.power($1) }
    }
    return result
  }

  /// e · b^(e − 1) for the base, and b^e · ln b for the exponent, which is 0 where the base is 0.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let dy = outputGradient.contiguous()
    let own = try call.inputs[1] ?? call.others[1]!.converted(to: T.dtype).require(T.self)
    let base = call.inputs[0]!.filling(dy.shape).contiguous()
    let exponent = own.filling(dy.shape).contiguous()
    return try (0..<2).map { side -> Tensor<T>? in
      guard call.wanted[side], let shape = call.inputShapes[side] else { return nil }
      var operands: [AnyTensor?] = [
        AnyTensor(base), AnyTensor(side == 0 ? exponent.map { $0 - 1 } : exponent),
      ]
      let power: Tensor<T> = try forward(&operands, context)[0].require()
      var slope = dy
      var values = slope.mutableSpan
      for i in values.indices {
        let (b, e) = (base.span[i], exponent.span[i])
        if side == 0 {
          values[i] *= e == 0 ? 0 : e * power.span[i]
        } else {
          values[i] *= b == 0 ? 0 : power.span[i] * T.log(b)
        }
      }
      return slope.summed(to: shape)
    }
  }
}
