// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// Slices of the input along an axis, at the positions listed by the second input.
///
/// - Source: ONNX `Gather`.
public struct Gather: MovingOperator, FloatOperator {
  public static let opType = "Gather"
  public let gradientReads = GradientReads()
  private let axis: Int

  public init(_ node: Node, opset: Int) throws { axis = try node.int("axis", default: 0) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let places = try required(inputs, 1, "indices") { $0 == .int64 || $0 == .int32 }
    return [TensorInfo(x.dtype, try target(x.shape, places.shape))]
  }

  private func target(_ shape: Shape, _ places: Shape) throws -> Shape {
    let axis = try axis(axis, rank: shape.rank)
    var extents = shape.dimensions
    extents.replaceSubrange(axis...axis, with: places.dimensions)
    return try Shape(checking: extents)
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let (shape, places) = (x.shape, inputs[1]!)
    let axis = try axis(axis, rank: shape.rank)
    let target = try target(shape, places.shape)
    // Even without elements there can be very many positions.
    guard target.count > 0 else { return [Tensor(zeros: target)] }
    let length = shape.count(of: axis + 1..<shape.rank)
    return [x.gathering(try starts(shape, axis, places), length: length, shape: target)]
  }

  /// The starts of the slices, in row-major order of the result.
  private func starts(_ shape: Shape, _ axis: Int, _ places: AnyTensor) throws -> [Int] {
    let places = try places.indices(extent: shape[axis])
    let inner = shape.count(of: axis + 1..<shape.rank)
    var starts: [Int] = []
    starts.reserveCapacity(shape.count(of: 0..<axis) * places.count)
    for outer in 0..<shape.count(of: 0..<axis) {
      for place in places { starts.append((outer * shape[axis] + place) * inner) }
    }
    return starts
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let dy = outputGradient.contiguous()
    var dx = Tensor<T>(zeros: call.inputShapes[0]!)
    let axis = try axis(axis, rank: dx.shape.rank)
    let length = dx.shape.count(of: axis + 1..<dx.shape.rank)
    let starts = try starts(dx.shape, axis, call.others[1]!)
    var slopes = dx.mutableSpan
    for (block, start) in starts.enumerated() {
      var target = slopes.part(start..<start + length)
      T.add(dy.span.extracting(block * length..<(block + 1) * length), to: &target)
    }
    return [dx, nil]
  }
}
