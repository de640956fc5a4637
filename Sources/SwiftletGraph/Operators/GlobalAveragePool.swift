public import SwiftletCore
import SwiftletKernels

/// The mean over all positions of each channel: x N×C×D1×… → N×C×1×….
///
/// - Source: ONNX `GlobalAveragePool`.
public struct GlobalAveragePool: FloatOperator {
  public static let opType = "GlobalAveragePool"
  public let gradientReads = GradientReads()

  public init(_ node: Node, opset: Int) throws {}

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank >= 3 else { throw mismatch("input \(x.shape) has no positions to average") }
    return [TensorInfo(x.dtype, Self.pooled(x.shape))]
  }

  private static func pooled(_ shape: Shape) -> Shape {
    Shape(Array(shape.dimensions[..<2]) + [Int](repeating: 1, count: shape.rank - 2))
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0]!.contiguous()
    let area = x.shape.count(of: 2..<x.shape.rank)
    var y = Tensor<T>(uninitialized: [x.shape[0] * x.shape[1]])
    context.pool.forEachBlock(of: &y, minimumWork: 1 + (1 << 14) / max(1, area)) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        output[plane - planes.lowerBound] = T.sum(image) / T(area)
      }
    }
    return [y.reshaped(to: Self.pooled(x.shape))]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    let dy = outputGradient.contiguous()
    let area = shape.count(of: 2..<shape.rank)
    var dx = Tensor<T>(uninitialized: [shape[0] * shape[1], area])
    context.pool.forEachBlock(of: &dx) { planes, output in
      for plane in planes {
        let start = (plane - planes.lowerBound) * area
        var image = output.part(start..<start + area)
        image.fill(with: dy.span[plane] / T(area))
      }
    }
    return [dx.reshaped(to: shape)]
  }
}
