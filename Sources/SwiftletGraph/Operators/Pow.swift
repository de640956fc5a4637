public import SwiftletCore

/// y = base ^ exponent, elementwise with broadcasting, in the base's type.
///
/// An integer base and exponent are multiplied and wrap; with a floating-point exponent, the power
/// is computed in double precision and truncated to an integer.
///
/// - Source: ONNX `Pow`.
public struct Pow: Operator {
  public static let opType = "Pow"

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
          try exponent.converted(to: common).require(T.self), context.pool))
    }
    return [try opened(common.numberType()).converted(to: dtype)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int64)
  private func power<T: NumberElement>(
    _ base: Tensor<T>, _ exponent: Tensor<T>, _ pool: ThreadPool
  ) -> Tensor<T> {
    var result = base.filling(base.shape.broadcast(with: exponent.shape)!)
    update(&result, with: exponent, pool) { row, exponent in
      combine(&row, exponent) { $0.power($1) }
    }
    return result
  }
}
