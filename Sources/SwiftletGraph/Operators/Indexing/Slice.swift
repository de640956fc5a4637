// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A part of the input: along each named axis from a start up to but excluding an end, by steps.
///
/// Negative positions count from the end of the axis, positions beyond it are clamped, and negative
/// steps go backwards.
///
/// - Source: ONNX `Slice`. Starts, ends and axes are attributes up to operator set 9, and inputs,
///   with steps, from 10 on.
public struct Slice: MovingOperator, FloatOperator {
  public static let opType = "Slice"
  public let gradientReads = GradientReads()
  /// Starts, ends and axes.
  private let attributes: [[Int]?]

  public init(_ node: Node, opset: Int) throws {
    attributes = [try node.ints("starts"), try node.ints("ends"), try node.ints("axes")]
  }

  /// The slice of one axis.
  package struct Cut: Sendable {
    package let axis, start, step, count: Int

    package init(axis: Int, start: Int, step: Int, count: Int) {
      (self.axis, self.start, self.step, self.count) = (axis, start, step, count)
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let roles = ["starts", "ends", "axes", "steps"]
    let cuts = try cuts(x.shape, try roles.indices.map { try integers(inputs, $0 + 1, roles[$0]) })
    var result = x.shape
    for cut in cuts { result = result.replacing(axis: cut.axis, with: cut.count) }
    return [TensorInfo(x.dtype, result)]
  }

  /// The slices of axes, from the starts, ends, axes and steps that are inputs.
  package func cuts(_ shape: Shape, _ inputs: [[Int]?]) throws -> [Cut] {
    guard let starts = inputs[0] ?? attributes[0], let ends = inputs[1] ?? attributes[1] else {
      throw mismatch("starts or ends are missing")
    }
    let axes = try self.axes(inputs[2] ?? attributes[2] ?? Array(starts.indices), rank: shape.rank)
    let steps = inputs[3] ?? starts.map { _ in 1 }
    guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count else {
      throw mismatch(
        "\(starts.count) starts, \(ends.count) ends and \(axes.count) axes do not match")
    }
    return try axes.indices.map {
      try cut(axes[$0], extent: shape[axes[$0]], starts[$0], ends[$0], step: steps[$0])
    }
  }

  private func cut(_ axis: Int, extent: Int, _ start: Int, _ end: Int, step: Int) throws -> Cut {
    guard step != 0 else { throw mismatch("a step is 0") }
    // Going backwards, the last position before an end may be −1.
    let bounds = step > 0 ? 0...extent : -1...max(-1, extent - 1)
    func position(_ index: Int) -> Int {
      min(max(index < 0 ? index + extent : index, bounds.lowerBound), bounds.upperBound)
    }
    let (first, last) = (position(start), position(end))
    let span = step > 0 ? last - first : first - last
    let count = span <= 0 ? 0 : Int(UInt(span - 1) / step.magnitude) + 1
    return Cut(axis: axis, start: first, step: step, count: count)
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let cuts = try cuts(x.shape, (1...4).map { $0 < inputs.count ? inputs[$0]?.integers : nil })
    return [
      cuts.reduce(x) {
        $0.strided(axis: $1.axis, start: $1.start, step: $1.step, count: $1.count)
      }.contiguous()
    ]
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] { try movedGradient(call, outputGradient) }
}
