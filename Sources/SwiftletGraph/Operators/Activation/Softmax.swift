// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore
import SwiftletKernels

/// y = exp(x) / Σ exp(x) along one axis, shifted by the maximum so that it never overflows; its
/// logarithm; or 1 at the first largest x and 0 elsewhere, which has no gradient.
///
/// - Source: ONNX `Softmax`, `LogSoftmax`, `Hardmax`. Before operator set 13 the sum runs over all
///   axes starting at `axis` (default 1); from 13 on over that axis only (default: the last).
public struct Softmax: FloatOperator {
  public static let opType = "Softmax"
  public static let opTypes = Kind.allCases.map(\.rawValue)
  public let gradientReads = GradientReads(outputs: [0])
  private enum Kind: String, CaseIterable {
    case soft = "Softmax"
    case logarithm = "LogSoftmax"
    case hard = "Hardmax"
  }
  private let kind: Kind
  private let axis: Int
  private let joinsTrailingAxes: Bool

  public init(_ node: Node, opset: Int) throws {
    kind = Kind(rawValue: node.opType)!
    joinsTrailingAxes = opset < 13
    axis = try node.int("axis", default: joinsTrailingAxes ? 1 : -1)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    guard -x.shape.rank..<x.shape.rank ~= axis else {
      throw mismatch("axis \(axis) is out of range for shape \(x.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  /// Element `(o, i, n)` of the tensor seen as outer × axis × inner.
  private func extents(_ shape: Shape) -> (outer: Int, length: Int, inner: Int) {
    let axis = axis < 0 ? axis + shape.rank : axis
    let end = joinsTrailingAxes ? shape.rank : axis + 1
    return (
      shape.count(of: 0..<axis), shape.count(of: axis..<end), shape.count(of: end..<shape.rank)
    )
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let x = inputs[0].take()!
    let (shape, extents) = (x.shape, extents(x.shape))
    var y = x.reshaped(to: [extents.outer, extents.length * extents.inner])
    context.threads.forEachBlock(of: &y) { rows, values in
      if kind == .soft, extents.inner == 1 {
        T.softmax(&values, width: extents.length)
        return
      }
      for row in rows {
        let start = (row - rows.lowerBound) * extents.length * extents.inner
        for inner in 0..<extents.inner {
          let line = stride(
            from: start + inner, to: start + extents.length * extents.inner, by: extents.inner)
          switch kind {
          case .soft: Self.softmax(&values, line)
          case .logarithm: Self.logSoftmax(&values, line)
          case .hard: Self.hardmax(&values, line)
          }
        }
      }
    }
    return [y.reshaped(to: shape)]
  }

  @inline(__always)
  private static func largest<T: LayerElement>(
    _ values: borrowing MutableSpan<T>, _ line: StrideTo<Int>
  ) -> T {
    var largest = -T.infinity
    for i in line { largest = max(largest, values[i]) }
    return largest
  }

  @inline(__always)
  private static func softmax<T: LayerElement>(
    _ values: inout MutableSpan<T>, _ line: StrideTo<Int>
  ) {
    let largest = largest(values, line)
    var sum: T = 0
    for i in line {
      values[i] = T.exp(values[i] - largest)
      sum += values[i]
    }
    for i in line { values[i] /= sum }
  }

  @inline(__always)
  private static func logSoftmax<T: LayerElement>(
    _ values: inout MutableSpan<T>, _ line: StrideTo<Int>
  ) {
    let largest = largest(values, line)
    var sum: T = 0
    for i in line { sum += T.exp(values[i] - largest) }
    let logarithm = T.log(sum)
    for i in line { values[i] = values[i] - largest - logarithm }
  }

  @inline(__always)
  private static func hardmax<T: LayerElement>(
    _ values: inout MutableSpan<T>, _ line: StrideTo<Int>
  ) {
    let largest = largest(values, line)
    var isFound = false
    for i in line {
      let wins = !isFound && values[i] == largest
      values[i] = wins ? 1 : 0
      isFound = isFound || wins
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    guard kind != .hard else { throw SwiftletError(.unsupported, "Hardmax has no gradient") }
    let y = call.outputs[0]!.contiguous()
    let extents = extents(y.shape)
    var slope = outputGradient.reshaped(to: [extents.outer, extents.length * extents.inner])
    context.threads.forEachBlock(of: &slope) { rows, values in
      let first = rows.lowerBound * extents.length * extents.inner
      for row in rows {
        let start = (row - rows.lowerBound) * extents.length * extents.inner
        for inner in 0..<extents.inner {
          let line = stride(
            from: start + inner, to: start + extents.length * extents.inner, by: extents.inner)
          var dot: T = 0
          if kind == .soft {
            for i in line { dot += values[i] * y.span[first + i] }
            for i in line { values[i] = y.span[first + i] * (values[i] - dot) }
          } else {
            for i in line { dot += values[i] }
            for i in line { values[i] -= T.exp(y.span[first + i]) * dot }
          }
        }
      }
    }
    return [slope.reshaped(to: y.shape)]
  }
}
