// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The input divided by its norm along an axis, Σ|x| or √Σx²; 0 if the norm is 0.
///
/// - Source: ONNX `LpNormalization`.
public struct LpNormalization: AnyElementOperator {
  public static let opType = "LpNormalization"
  public let gradientReads = GradientReads(inputs: [0], outputs: [0])
  private let axis, power: Int

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: -1)
    power = try node.int("p", default: 2)
    guard 1...2 ~= power else {
      throw SwiftletError(.badInput, "LpNormalization has p = \(power), which must be 1 or 2")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    _ = try axis(axis, rank: x.shape.rank)
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0].take()! {
    case .float64(let x): [.float64(try normalized(x))]
    case let x: [.float32(try normalized(x.require()))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func normalized<T: LayerElement>(_ x: Tensor<T>) throws -> Tensor<T> {
    let axis = try axis(axis, rank: x.shape.rank)
    var y = x.contiguous()
    let (extent, inner) = (x.shape[axis], x.shape.count(of: axis + 1..<x.shape.rank))
    var values = y.mutableSpan
    for outer in 0..<x.shape.count(of: 0..<axis) {
      for column in 0..<inner {
        let start = outer * extent * inner + column
        var sum: T = 0
        for i in 0..<extent {
          let value = values[start + i * inner]
          sum += power == 1 ? abs(value) : value * value
        }
        let norm = power == 1 ? sum : sum.squareRoot()
        for i in 0..<extent {
          values[start + i * inner] = norm == 0 ? 0 : values[start + i * inner] / norm
        }
      }
    }
    return y
  }

  /// (dy − d · Σ dy · y) / norm, where d is the slope of the norm: y, or with p = 1 the sign of x.
  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let (x, y) = (call.inputs[0]!.contiguous(), call.outputs[0]!.contiguous())
    let axis = try axis(axis, rank: x.shape.rank)
    var slope = outputGradient.contiguous()
    let (extent, inner) = (x.shape[axis], x.shape.count(of: axis + 1..<x.shape.rank))
    var values = slope.mutableSpan
    for outer in 0..<x.shape.count(of: 0..<axis) {
      for column in 0..<inner {
        let start = outer * extent * inner + column
        var (sum, product): (T, T) = (0, 0)
        for i in 0..<extent {
          let place = start + i * inner
          sum += power == 1 ? abs(x.span[place]) : x.span[place] * x.span[place]
          product += values[place] * y.span[place]
        }
        let norm = power == 1 ? sum : sum.squareRoot()
        for i in 0..<extent {
          let place = start + i * inner
          let sign: T = x.span[place] < 0 ? -1 : x.span[place] > 0 ? 1 : 0
          let direction = power == 1 ? sign : y.span[place]
          values[place] = norm == 0 ? 0 : (values[place] - direction * product) / norm
        }
      }
    }
    return [slope]
  }
}
