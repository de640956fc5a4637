// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// The quantized value in floating point, with a learnable step size: y = clamp(roundTiesToEven(x /
/// s), low, high) · s, with s = step · exp(growth).
///
/// Exists only while a network is trained; no file contains it. The gradient treats rounding as the
/// identity: the gradient of x passes where x is not clamped, and that of s is round(x / s) − x / s
/// there, and low or high where x is clamped. Learning the logarithm keeps s positive and makes an
/// optimizer's steps relative to s.
///
/// | input    | shape                                      |
/// |----------|--------------------------------------------|
/// | `x`      | any                                        |
/// | `step`   | scalar, or one for each index of `axis`    |
/// | `growth` | as `step`                                  |
///
/// - Source: Esser et al. 2020, arXiv:1902.08153; Bengio et al. 2013, arXiv:1308.3432, for the
///   gradient through rounding.
public struct FakeQuantize: FloatOperator {
  public static let opType = "FakeQuantize"
  /// Its operator domain: our own.
  public static let domain = "ai.swiftlet"
  public let gradientReads = GradientReads(inputs: [0, 1, 2])
  public let untrainedInputs: Set<Int> = [1]
  private let low, high: Int
  private let axis: Int

  public init(_ node: Node, opset: Int) throws {
    low = try node.int("low", default: -127)
    high = try node.int("high", default: 127)
    axis = try node.int("axis", default: 0)
    // Larger codes would not be exact in the arithmetic below.
    guard low <= 0, high >= 0, low < high, low > -(1 << 16), high < 1 << 16 else {
      throw SwiftletError(
        .badInput,
        "FakeQuantize has codes from \(low) to \(high), which must include 0 and be below 65536")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    let step = try required(inputs, 1, "step")
    let growth = try required(inputs, 2, "growth")
    guard step.dtype == x.dtype, growth.dtype == x.dtype, growth.shape == step.shape,
      step.shape.rank == 0
        || (step.shape.rank == 1 && 0..<x.shape.rank ~= axis && step.shape[0] == x.shape[axis])
    else {
      throw mismatch("steps \(step.shape) and growth \(growth.shape) do not match input \(x.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  /// The number of consecutive elements that share a step, and the number of steps.
  private func layout(_ x: Shape, _ step: Shape) -> (length: Int, channels: Int) {
    step.rank == 0 ? (x.count, 1) : (x.count(of: axis + 1..<x.rank), step[0])
  }

  private func steps<T: LayerElement>(_ step: Tensor<T>, _ growth: Tensor<T>) -> [T] {
    zip(step.elements, growth.elements).map { $0 * T.exp($1) }
  }

  /// The nearest integer, ties to even, of a number below 2¹⁶: adding 1.5 · 2^(bits of the
  /// fraction) leaves no fraction bits. Unlike `rounded()`, it needs no call per element.
  @inline(__always)
  private func rounded<T: LayerElement>(_ value: T, _ shift: T) -> T { (value + shift) - shift }

  private func shift<T: LayerElement>(_: T.Type) -> T {
    T(sign: .plus, exponent: T.Exponent(T.significandBitCount), significand: 1.5)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let steps = steps(inputs[1]!, inputs[2]!)
    let (length, channels) = layout(inputs[0]!.shape, inputs[1]!.shape)
    let (low, high, shift) = (T(low), T(high), shift(T.self))
    var y = inputs[0].take()!.contiguous()
    guard length > 0 else { return [y] }
    let count = y.count
    var values = y.mutableSpan
    for run in 0..<count / length {
      let step = steps[run % channels]
      var part = values.part(run * length..<(run + 1) * length)
      for i in part.indices {
        part[i] = rounded(min(max(part[i] / step, low), high), shift) * step
      }
    }
    return [y]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let x = call.inputs[0]!.contiguous()
    let steps = steps(call.inputs[1]!, call.inputs[2]!)
    let (length, channels) = layout(x.shape, call.inputs[1]!.shape)
    let (low, high, shift) = (T(low), T(high), shift(T.self))
    var slope = outputGradient.contiguous()
    var growth = Tensor<T>(zeros: call.inputs[1]!.shape)
    guard length > 0 else { return [slope, nil, growth] }
    let count = slope.count
    var slopes = slope.mutableSpan
    var sums = growth.mutableSpan
    for run in 0..<count / length {
      let channel = run % channels
      let step = steps[channel]
      let source = x.span.extracting(run * length..<(run + 1) * length)
      var part = slopes.part(run * length..<(run + 1) * length)
      var sum: T = 0
      for i in part.indices {
        let exact = source[i] / step
        let limited = min(max(exact, low), high)
        let code = rounded(limited, shift)
        let isInside = limited == exact
        // Of s: code − x / s inside, the limit outside.
        sum += part[i] * (isInside ? code - exact : code)
        part[i] = isInside ? part[i] : 0
      }
      // ds / dgrowth = s
      sums[channel] += sum * step
    }
    return [call.wanted[0] ? slope : nil, nil, call.wanted[2] ? growth : nil]
  }
}
