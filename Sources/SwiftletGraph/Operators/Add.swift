public import SwiftletCore
import SwiftletKernels

/// y = a + b, elementwise, either side repeated to fit the other.
///
/// - Source: ONNX `Add`.
public struct Add: FloatOperator {
  public static let opType = "Add"
  public let gradientReads = GradientReads()

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let a = try floating(inputs, 0, "left side")
    let b = try floating(inputs, 1, "right side")
    guard a.dtype == b.dtype, let shape = a.shape.broadcast(with: b.shape) else {
      throw mismatch("\(a.dtype) \(a.shape) and \(b.dtype) \(b.shape) do not fit each other")
    }
    return [TensorInfo(a.dtype, shape)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let a = inputs[0].take()!
    let b = inputs[1].take()!
    let shape = a.shape.broadcast(with: b.shape)!
    // The sum is written over whichever side already has its shape.
    if a.shape == shape { return [Self.sum(consume a, b, context.pool)] }
    if b.shape == shape { return [Self.sum(consume b, a, context.pool)] }
    var y = Tensor<T>(uninitialized: shape)
    Broadcast(a.shape, to: shape).copy(a.contiguous(), into: &y)
    return [Self.sum(consume y, b, context.pool)]
  }

  private static func sum<T: LayerElement>(
    _ full: consuming Tensor<T>, _ other: Tensor<T>, _ pool: ThreadPool
  ) -> Tensor<T> {
    let other = other.contiguous()
    guard full.shape == other.shape, full.shape.rank > 0 else {
      Broadcast(other.shape, to: full.shape).add(other, to: &full)
      return full
    }
    let rowLength = full.count / max(1, full.shape[0])
    pool.forEachBlock(of: &full) { rows, values in
      let addends = other.span.extracting(
        rows.lowerBound * rowLength..<rows.upperBound * rowLength)
      T.add(addends, to: &values)
    }
    return full
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let dy = outputGradient.contiguous()
    return (0..<2).map { side in
      guard call.wanted[side], let shape = call.inputShapes[side] else { return nil }
      return shape == dy.shape ? dy : Broadcast(shape, to: dy.shape).sum(dy)
    }
  }
}
