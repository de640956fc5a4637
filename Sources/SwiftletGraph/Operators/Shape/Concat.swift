// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The concatenation of the inputs along an axis.
///
/// - Source: ONNX `Concat`. Up to operator set 3 the axis is optional and defaults to 1.
public struct Concat: MovingOperator, FloatOperator {
  public static let opType = "Concat"
  public let gradientReads = GradientReads()
  private let axis: Int

  public init(_ node: Node, opset: Int) throws {
    guard opset < 4 || node.attributes["axis"] != nil else {
      throw SwiftletError(.badInput, "Concat is missing the attribute axis")
    }
    axis = try node.int("axis", default: 1)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let first = try required(inputs, 0, "first input")
    let axis = try axis(axis, rank: first.shape.rank)
    var total = first.shape[axis]
    for index in 1..<max(1, inputs.count) {
      let other = try required(inputs, index, "input")
      guard other.dtype == first.dtype, other.shape.rank == first.shape.rank,
        other.shape.replacing(axis: axis, with: 0) == first.shape.replacing(axis: axis, with: 0)
      else {
        throw mismatch(
          "\(first.dtype) \(first.shape) and \(other.dtype) \(other.shape) do not match")
      }
      let sum = total.addingReportingOverflow(other.shape[axis])
      guard !sum.overflow else { throw mismatch("axis \(axis) becomes too long") }
      total = sum.partialValue
    }
    var extents = first.shape.dimensions
    extents[axis] = total
    return [TensorInfo(first.dtype, try Shape(checking: extents))]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let axis = try axis(axis, rank: x.shape.rank)
    let parts = [x] + (try inputs.dropFirst().map { try $0!.require(T.self) })
    let length = parts.reduce(0) { $0 + $1.shape[axis] }
    var result = Tensor<T>(uninitialized: parts[0].shape.replacing(axis: axis, with: length))
    let outer = result.shape.count(of: 0..<axis)
    let row = result.shape.count(of: axis..<result.shape.rank)
    var start = 0
    for part in parts where part.count > 0 {
      let width = part.shape.count(of: axis..<part.shape.rank)
      result.scatter(part, to: (0..<outer).map { $0 * row + start }, length: width)
      start += width
    }
    return [result]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let slope = outputGradient
    let axis = try axis(axis, rank: slope.shape.rank)
    var start = 0
    return call.inputShapes.map { shape in
      defer { start += shape![axis] }
      return slope.slice(axis: axis, range: start..<start + shape![axis])
    }
  }
}
