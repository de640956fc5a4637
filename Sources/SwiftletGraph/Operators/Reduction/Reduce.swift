// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore
import SwiftletKernels

/// Reduces all elements along some axes to one number: the sum, mean, product, minimum, maximum,
/// norm, or the logarithm of the sum.
///
/// Integers wrap; their means and norms are truncated towards zero. NaN in any element gives NaN in
/// the result. Without elements, the minimum is +∞ and the maximum −∞, or the bounds of the integer
/// type.
///
/// - Source: ONNX `ReduceSum` and so on. The axes are an attribute up to operator set 17 (for
///   `ReduceSum`: 12) and an input afterwards; by default all axes are reduced, or with
///   `noop_with_empty_axes = 1` none.
public struct Reduce: AnyElementOperator {
  public static let opType = "Reduce"
  public static let opTypes = Kind.allCases.map(\.rawValue)
  public let untrainedInputs: Set<Int> = [1]
  private enum Kind: String, CaseIterable {
    case sum = "ReduceSum"
    case mean = "ReduceMean"
    case product = "ReduceProd"
    case least = "ReduceMin"
    case greatest = "ReduceMax"
    case absolute = "ReduceL1"
    case norm = "ReduceL2"
    case squares = "ReduceSumSquare"
    case logSum = "ReduceLogSum"
    case logSumExp = "ReduceLogSumExp"
  }
  private let kind: Kind
  public var gradientReads: GradientReads {
    kind == .sum || kind == .mean ? GradientReads() : GradientReads(inputs: [0], outputs: [0])
  }
  private let attributeAxes: [Int]?
  private let keepsAxes: Bool
  private let ignoresNoAxes: Bool

  public init(_ node: Node, opset: Int) throws {
    kind = Kind(rawValue: node.opType)!
    attributeAxes = try node.ints("axes")
    keepsAxes = try node.int("keepdims", default: 1) != 0
    ignoresNoAxes = try node.int("noop_with_empty_axes", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let takesBool = kind == .least || kind == .greatest
    let x = try required(inputs, 0, "input") { $0.isNumber || takesBool }
    let axes = try axes(x.shape, integers(inputs, 1, "axes"))
    return [TensorInfo(x.dtype, reduced(x.shape, axes, keepsAxes: keepsAxes))]
  }

  /// The axes to reduce, in order.
  private func axes(_ shape: Shape, _ input: [Int]?) throws -> [Int] {
    let given = input ?? attributeAxes ?? []
    if given.isEmpty { return ignoresNoAxes ? [] : Array(0..<shape.rank) }
    return try axes(given, rank: shape.rank).sorted()
  }

  private func reduced(_ shape: Shape, _ axes: [Int], keepsAxes: Bool) -> Shape {
    Shape(
      (0..<shape.rank).compactMap { axes.contains($0) ? keepsAxes ? 1 : nil : shape[$0] })
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    if x.dtype == .bool {
      inputs[0] = x.converted(to: .uint8)
      return try forward(&inputs, context).map { $0.converted(to: .bool) }
    }
    let axes = try axes(x.shape, inputs.count > 1 ? inputs[1]?.integers : nil)
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(reduce(try x.require(T.self), axes, context.threads))
    }
    return [try opened(x.dtype.numberType())]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int64)
  @specialized(where T == Int32)
  private func reduce<T: NumberElement>(
    _ x: Tensor<T>, _ axes: [Int], _ threads: Threads
  ) -> Tensor<T> {
    let target = reduced(x.shape, axes, keepsAxes: keepsAxes)
    let kept = (0..<x.shape.rank).filter { !axes.contains($0) }
    // The reduced axes come last, so that each result comes from one row.
    let rows = x.permuted(to: kept + axes).contiguous()
    let length = axes.reduce(1) { $0 * x.shape[$1] }
    let kind = kind
    var y = Tensor<T>(uninitialized: [target.count])
    threads.forEachBlock(of: &y, minimumWork: 1 + (1 << 14) / max(1, length)) { range, output in
      for row in range {
        let values = rows.span.extracting(row * length..<(row + 1) * length)
        output[row - range.lowerBound] = Self.reduce(values, kind)
      }
    }
    return y.reshaped(to: target)
  }

  @inline(__always)
  private static func reduce<T: NumberElement>(_ values: Span<T>, _ kind: Kind) -> T {
    switch kind {
    case .sum: return T.total(values)
    case .mean: return T.total(values).over(T(converting: Int64(values.count)))
    case .product: return fold(values, .one) { $0.times($1) }
    case .least: return fold(values, .highest) { $0.isNotANumber || $0 < $1 ? $0 : $1 }
    case .greatest: return fold(values, .lowest) { $0.isNotANumber || $0 > $1 ? $0 : $1 }
    case .absolute: return fold(values, .zero) { $0.plus($1 < .zero ? T.zero.minus($1) : $1) }
    case .squares: return fold(values, .zero) { $0.plus($1.times($1)) }
    case .norm:
      return T(converting: wide(values) { $0 * $0 }.squareRoot())
    case .logSum: return T(converting: Double.log(wide(values) { $0 }))
    case .logSumExp:
      let largest = fold(values, .lowest) { $0.isNotANumber || $0 > $1 ? $0 : $1 }.asDouble
      guard largest.isFinite else { return T(converting: largest) }
      return T(converting: largest + Double.log(wide(values) { Double.exp($0 - largest) }))
    }
  }

  @inline(__always)
  private static func fold<T>(_ values: Span<T>, _ start: T, _ f: (T, T) -> T) -> T {
    var result = start
    for i in values.indices { result = f(result, values[i]) }
    return result
  }

  /// Σ f(x) in double precision.
  @inline(__always)
  private static func wide<T: NumberElement>(_ values: Span<T>, _ f: (Double) -> Double) -> Double {
    var sum = 0.0
    for i in values.indices { sum += f(values[i].asDouble) }
    return sum
  }

  /// Of several elements that are the least or the greatest, each has its part.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let shape = call.inputShapes[0]!
    let axes = try axes(shape, call.others.count > 1 ? call.others[1]?.integers : nil)
    let kept = reduced(shape, axes, keepsAxes: true)
    var slope = outputGradient.reshaped(to: kept).filling(shape).contiguous()
    switch kind {
    case .sum: return [slope]
    case .mean:
      let count = T(axes.reduce(1) { $0 * shape[$1] })
      return [slope.map { $0 / count }]
    case .product:
      throw SwiftletError(
        .unsupported, "there is no gradient for ReduceProd, so the model cannot be trained here")
    default: break
    }
    let x = call.inputs[0]!.contiguous()
    let y = call.outputs[0]!.reshaped(to: kept).filling(shape).contiguous()
    if kind == .least || kind == .greatest {
      var ones = Tensor<T>(zeros: shape)
      var marks = ones.mutableSpan
      for i in marks.indices where x.span[i] == y.span[i] { marks[i] = 1 }
      let counts = Broadcast(kept, to: shape).sum(ones).filling(shape).contiguous()
      var values = slope.mutableSpan
      for i in values.indices {
        values[i] = ones.span[i] == 0 ? 0 : values[i] / counts.span[i]
      }
      return [slope]
    }
    var values = slope.mutableSpan
    for i in values.indices {
      let (x, y) = (x.span[i], y.span[i])
      switch kind {
      case .absolute: values[i] *= x < 0 ? -1 : x > 0 ? 1 : 0
      case .norm: values[i] = y == 0 ? 0 : values[i] * x / y
      case .squares: values[i] *= 2 * x
      case .logSum: values[i] /= T.exp(y)
      default: values[i] *= T.exp(x - y)
      }
    }
    return [slope]
  }
}
