// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// A function of one number with up to two parameters, and its derivative: used elementwise by
/// activations and by the gates of recurrent layers.
struct ActivationFunction: Sendable {
  enum Kind: String, CaseIterable {
    case affine = "Affine"
    case celu = "Celu"
    case elu = "Elu"
    case gelu = "Gelu"
    case geluTanh = "GeluTanh"
    case hardSigmoid = "HardSigmoid"
    case hardSwish = "HardSwish"
    case leakyRelu = "LeakyRelu"
    case mish = "Mish"
    case relu = "Relu"
    case scaledTanh = "ScaledTanh"
    case selu = "Selu"
    case sigmoid = "Sigmoid"
    case softplus = "Softplus"
    case softsign = "Softsign"
    case swish = "Swish"
    case tanh = "Tanh"
    case thresholdedRelu = "ThresholdedRelu"

    /// ONNX's default parameters.
    var defaults: (alpha: Float, beta: Float) {
      switch self {
      case .elu, .celu, .thresholdedRelu, .swish: (1, 0)
      case .hardSigmoid: (0.2, 0.5)
      case .leakyRelu: (0.01, 0)
      case .selu: (1.673_263_192_176_818_85, 1.050_701_022_148_132_32)
      case .affine, .scaledTanh: (1, 1)
      default: (0, 0)
      }
    }
  }
  let kind: Kind
  /// The parameters; the second one of `Selu` is gamma.
  let alpha, beta: Float

  init(_ kind: Kind, alpha: Float? = nil, beta: Float? = nil) {
    self.kind = kind
    self.alpha = alpha ?? kind.defaults.alpha
    self.beta = beta ?? kind.defaults.beta
  }

  /// x = f(x).
  @inline(__always)
  func apply<T: LayerElement>(_ values: inout MutableSpan<T>) {
    let (a, b) = (T(alpha), T(beta))
    switch kind {
    case .affine: SwiftletGraph.apply(&values) { a * $0 + b }
    case .celu: SwiftletGraph.apply(&values) { $0 < 0 ? a * T.expMinusOne($0 / a) : $0 }
    case .elu: SwiftletGraph.apply(&values) { $0 < 0 ? a * T.expMinusOne($0) : $0 }
    case .gelu: SwiftletGraph.apply(&values) { $0 * Self.normal($0) }
    case .geluTanh: SwiftletGraph.apply(&values) { $0 * (1 + T.tanh(Self.cubic($0))) / 2 }
    case .hardSigmoid: SwiftletGraph.apply(&values) { Self.clamped(a * $0 + b) }
    case .hardSwish: SwiftletGraph.apply(&values) { $0 * Self.clamped($0 / 6 + 0.5) }
    case .leakyRelu: SwiftletGraph.apply(&values) { $0 < 0 ? a * $0 : $0 }
    case .mish: SwiftletGraph.apply(&values) { $0 * T.tanh(Self.softplus($0)) }
    case .relu: SwiftletGraph.apply(&values) { $0 < 0 ? 0 : $0 }
    case .scaledTanh: SwiftletGraph.apply(&values) { a * T.tanh(b * $0) }
    case .selu: SwiftletGraph.apply(&values) { b * ($0 < 0 ? a * T.expMinusOne($0) : $0) }
    case .sigmoid: SwiftletGraph.apply(&values) { Self.sigmoid($0) }
    case .softplus: SwiftletGraph.apply(&values) { Self.softplus($0) }
    case .softsign: SwiftletGraph.apply(&values) { $0 / (1 + abs($0)) }
    case .swish: SwiftletGraph.apply(&values) { $0 * Self.sigmoid(a * $0) }
    case .tanh: SwiftletGraph.apply(&values) { T.tanh($0) }
    case .thresholdedRelu: SwiftletGraph.apply(&values) { $0 > a ? $0 : 0 }
    }
  }

  /// slope = slope · f′(x), with the left derivative at kinks.
  @inline(__always)
  func multiplyByDerivative<T: LayerElement>(_ slope: inout MutableSpan<T>, at x: Span<T>) {
    let (a, b) = (T(alpha), T(beta))
    switch kind {
    case .affine: combine(&slope, x) { s, _ in s * a }
    case .celu: combine(&slope, x) { $1 < 0 ? $0 * T.exp($1 / a) : $0 }
    case .elu: combine(&slope, x) { $1 < 0 ? $0 * a * T.exp($1) : $0 }
    case .gelu: combine(&slope, x) { $0 * (Self.normal($1) + $1 * Self.density($1)) }
    case .geluTanh: combine(&slope, x) { $0 * Self.geluTanhDerivative($1) }
    case .hardSigmoid: combine(&slope, x) { 0..<1 ~= a * $1 + b ? $0 * a : 0 }
    case .hardSwish: combine(&slope, x) { $1 <= -3 ? 0 : $1 < 3 ? $0 * ($1 / 3 + 0.5) : $0 }
    case .leakyRelu: combine(&slope, x) { $1 < 0 ? $0 * a : $0 }
    case .mish: combine(&slope, x) { $0 * Self.mishDerivative($1) }
    case .relu: combine(&slope, x) { $1 > 0 ? $0 : 0 }
    case .scaledTanh: combine(&slope, x) { $0 * a * b * (1 - Self.square(T.tanh(b * $1))) }
    case .selu: combine(&slope, x) { $0 * b * ($1 < 0 ? a * T.exp($1) : 1) }
    case .sigmoid: combine(&slope, x) { $0 * Self.sigmoid($1) * Self.sigmoid(-$1) }
    case .softplus: combine(&slope, x) { $0 * Self.sigmoid($1) }
    case .softsign: combine(&slope, x) { $0 / Self.square(1 + abs($1)) }
    case .swish: combine(&slope, x) { $0 * Self.swishDerivative($1, a) }
    case .tanh: combine(&slope, x) { $0 * (1 - Self.square(T.tanh($1))) }
    case .thresholdedRelu: combine(&slope, x) { $1 > a ? $0 : 0 }
    }
  }

  @inline(__always) private static func square<T: LayerElement>(_ x: T) -> T { x * x }

  /// `x` clamped to 0 … 1; NaN stays NaN.
  @inline(__always) private static func clamped<T: LayerElement>(_ x: T) -> T {
    x < 0 ? 0 : x > 1 ? 1 : x
  }

  @inline(__always) private static func sigmoid<T: LayerElement>(_ x: T) -> T {
    1 / (1 + T.exp(-x))
  }

  /// log(1 + eˣ) without overflow.
  @inline(__always) private static func softplus<T: LayerElement>(_ x: T) -> T {
    (x > 0 ? x : 0) + T.log(onePlus: T.exp(-abs(x)))
  }

  /// The cumulative distribution function of the normal distribution, and its density.
  @inline(__always) private static func normal<T: LayerElement>(_ x: T) -> T {
    (1 + T.erf(x * T(0.5).squareRoot())) / 2
  }
  @inline(__always) private static func density<T: LayerElement>(_ x: T) -> T {
    T.exp(-x * x / 2) / (2 * T.pi).squareRoot()
  }

  /// √(2/π) · (x + 0.044715 x³).
  @inline(__always) private static func cubic<T: LayerElement>(_ x: T) -> T {
    (2 / T.pi).squareRoot() * (x + 0.044715 * x * x * x)
  }
  @inline(__always) private static func geluTanhDerivative<T: LayerElement>(_ x: T) -> T {
    let t = T.tanh(cubic(x))
    let inner = (2 / T.pi).squareRoot() * (1 + 0.134145 * x * x)
    return (1 + t + x * (1 - t * t) * inner) / 2
  }
  @inline(__always) private static func mishDerivative<T: LayerElement>(_ x: T) -> T {
    let t = T.tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)
  }
  @inline(__always) private static func swishDerivative<T: LayerElement>(_ x: T, _ a: T) -> T {
    let s = sigmoid(a * x)
    return s + a * x * s * (1 - s)
  }
}
