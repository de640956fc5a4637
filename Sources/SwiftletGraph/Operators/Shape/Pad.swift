// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The input with elements added at the ends of its axes or, for negative amounts, removed. The
/// added elements are a constant, or elements of the input: reflected at the ends, repeating the
/// end, or wrapping around.
///
/// - Source: ONNX `Pad`, modes `constant`, `reflect`, `edge` and `wrap`. Amounts and constant are
///   attributes up to operator set 10 (of 1, the amounts are `paddings`), inputs from 11 on, for
///   chosen axes from 18 on.
public struct Pad: MovingOperator, FloatOperator {
  public static let opType = "Pad"
  public let gradientReads = GradientReads()
  /// The constant is a setting rather than a parameter.
  public let untrainedInputs: Set<Int> = [2]
  private enum Mode: String {
    case constant, reflect, edge, wrap
  }
  private let mode: Mode
  private let attributePads: [Int]?
  private let attributeValue: Float

  public init(_ node: Node, opset: Int) throws {
    let name = try node.string("mode", default: "constant")
    guard let mode = Mode(rawValue: name) else {
      throw SwiftletError(
        .badInput, "Pad has mode '\(name)', which must be constant, reflect, edge or wrap")
    }
    self.mode = mode
    attributePads = opset < 11 ? try node.ints(opset < 2 ? "paddings" : "pads") ?? [] : nil
    attributeValue = opset < 11 ? try node.float("value", default: 0) : 0
  }

  /// The padding of one axis.
  private struct Ends {
    /// Positions of the input that remain, and the numbers added before and after them.
    let kept: Range<Int>
    let before, after: Int
    var count: Int { before + kept.count + after }

    init(extent: Int, before: Int, after: Int) {
      let start = min(extent, max(0, -before))
      kept = start..<max(start, extent - max(0, -after))
      (self.before, self.after) = (max(0, before), max(0, after))
    }

    private static func modulo(_ value: Int, _ divisor: Int) -> Int {
      (value % divisor + divisor) % divisor
    }

    /// The input position of each result position; −1 for the constant.
    func sources(_ mode: Mode) -> [Int] {
      (0..<count).map { position in
        let (offset, n) = (position - before, kept.count)
        if 0..<n ~= offset { return kept.lowerBound + offset }
        switch mode {
        case .constant: return -1
        case .edge: return offset < 0 ? kept.lowerBound : kept.upperBound - 1
        case .wrap: return kept.lowerBound + Self.modulo(offset, n)
        case .reflect:
          let turn = Self.modulo(offset, max(1, 2 * (n - 1)))
          return kept.lowerBound + min(turn, 2 * (n - 1) - turn)
        }
      }
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    if inputs.count > 2, let value = inputs[2], value.dtype != x.dtype || value.shape.count != 1 {
      throw mismatch("the constant is \(value.dtype) \(value.shape) for \(x.dtype) input")
    }
    if attributePads == nil { _ = try required(inputs, 1, "pads") }
    let pads = try attributePads ?? integers(inputs, 1, "pads") ?? []
    let ends = try ends(x.shape, pads, integers(inputs, 3, "axes"))
    for (axis, ends) in ends.enumerated() {
      guard mode == .constant || !ends.kept.isEmpty || ends.count == 0 else {
        throw mismatch("axis \(axis) of \(x.shape) has no elements left to pad with")
      }
    }
    return [TensorInfo(x.dtype, try Shape(checking: ends.map(\.count)))]
  }

  private func ends(_ shape: Shape, _ pads: [Int], _ axes: [Int]?) throws -> [Ends] {
    let axes = try self.axes(axes ?? Array(0..<shape.rank), rank: shape.rank)
    let limit = TensorInfo.elementLimit
    guard pads.count == 2 * axes.count, pads.allSatisfy({ -limit...limit ~= $0 }) else {
      throw mismatch("pads \(pads) do not match \(axes.count) axes of \(shape)")
    }
    var result = shape.dimensions.map { Ends(extent: $0, before: 0, after: 0) }
    for (index, axis) in axes.enumerated() {
      let (before, after) = (pads[index], pads[index + axes.count])
      guard before + after >= -shape[axis] else {
        throw mismatch("pads \(pads) remove more than all of \(shape)")
      }
      result[axis] = Ends(extent: shape[axis], before: before, after: after)
    }
    return result
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let pads = attributePads ?? inputs[1]!.integers
    let ends = try ends(x.shape, pads, inputs.count > 3 ? inputs[3]?.integers : nil)
    let value: Tensor<T> =
      try inputs.count > 2 && inputs[2] != nil
      ? inputs[2]!.require()
      : AnyTensor.float32(Tensor([1], [attributeValue])).converted(to: T.dtype).require()
    var result = x.contiguous()
    for (axis, ends) in ends.enumerated() {
      let extent = result.shape[axis]
      if ends.kept.count == extent && ends.count == extent { continue }
      result = padded(result, axis, ends.sources(mode), value.elements[0])
    }
    return [result]
  }

  /// Gathers the positions of one axis from `sources`.
  private func padded<T: TensorElement>(
    _ x: Tensor<T>, _ axis: Int, _ sources: [Int], _ value: T
  ) -> Tensor<T> {
    var extents = x.shape.dimensions
    let (extent, inner) = (extents[axis], x.shape.count(of: axis + 1..<x.shape.rank))
    extents[axis] = sources.count
    var result = Tensor<T>(Shape(extents), repeating: value)
    guard inner > 0, extent > 0 else { return result }
    var target = result.mutableSpan
    var position = 0
    for outer in 0..<x.shape.count(of: 0..<axis) {
      for source in sources {
        if source >= 0 {
          let start = (outer * extent + source) * inner
          target.copy(x.span.extracting(start..<start + inner), to: position)
        }
        position += inner
      }
    }
    return result
  }

  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] { try movedGradient(call, outputGradient) }
}
