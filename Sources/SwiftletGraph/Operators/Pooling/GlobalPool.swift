// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// One number per channel, over all its positions: the mean, the maximum, or the p-norm. x N×C×… →
/// N×C×1×….
///
/// The gradient of the maximum goes to the first position that holds it; the norm has no gradient.
///
/// - Source: ONNX `GlobalAveragePool`, `GlobalMaxPool`, `GlobalLpPool`.
public struct GlobalPool: FloatOperator {
  public static let opType = "GlobalPool"
  public static let opTypes = Kind.allCases.map(\.rawValue)
  private enum Kind: String, CaseIterable {
    case average = "GlobalAveragePool"
    case largest = "GlobalMaxPool"
    case norm = "GlobalLpPool"
  }
  private let kind: Kind
  private let norm: PowerNorm
  public var gradientReads: GradientReads {
    GradientReads(inputs: kind == .largest ? [0] : [])
  }

  public init(_ node: Node, opset: Int) throws {
    kind = Kind(rawValue: node.opType)!
    norm = try PowerNorm(node)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard x.shape.rank >= 3, x.shape.count(of: 2..<x.shape.rank) > 0 else {
      throw mismatch("input \(x.shape) has no positions")
    }
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
    context.threads.forEachBlock(of: &y, minimumWork: 1 + (1 << 14) / area) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        output[plane - planes.lowerBound] = pool(image)
      }
    }
    return [y.reshaped(to: Self.pooled(x.shape))]
  }

  @inline(__always)
  private func pool<T: LayerElement>(_ image: Span<T>) -> T {
    switch kind {
    case .average: return T.sum(image) / T(image.count)
    case .largest: return image[Self.argmax(image)]
    case .norm:
      var sum: T = 0
      for i in image.indices { sum += norm.term(image[i]) }
      return norm.root(sum)
    }
  }

  @inline(__always)
  private static func argmax<T: LayerElement>(_ image: Span<T>) -> Int {
    var best = 0
    for i in image.indices where image[i] > image[best] || image[i].isNaN { best = i }
    return best
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    guard kind != .norm else {
      throw SwiftletError(.unsupported, "\(kind.rawValue) has no gradient")
    }
    let shape = call.inputShapes[0]!
    let (x, dy) = (call.inputs[0]?.contiguous(), outputGradient.contiguous())
    let area = shape.count(of: 2..<shape.rank)
    var dx = Tensor<T>(uninitialized: [shape[0] * shape[1], area])
    context.threads.forEachBlock(of: &dx) { planes, output in
      for plane in planes {
        let start = (plane - planes.lowerBound) * area
        var image = output.part(start..<start + area)
        guard let x else {
          image.fill(with: dy.span[plane] / T(area))
          continue
        }
        image.fill(with: 0)
        image[Self.argmax(x.span.extracting(plane * area..<(plane + 1) * area))] = dy.span[plane]
      }
    }
    return [dx.reshaped(to: shape)]
  }
}
