// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// Elementwise functions of one floating-point number.
///
/// - Source: ONNX operators of these names. `Round` rounds ties to even.
public struct UnaryMath: AnyElementOperator {
  public static let opType = "UnaryMath"
  public static let opTypes = Function.allCases.map(\.rawValue)
  private enum Function: String, CaseIterable {
    case ceil = "Ceil"
    case floor = "Floor"
    case round = "Round"
    case exp = "Exp"
    case log = "Log"
    case sqrt = "Sqrt"
    case reciprocal = "Reciprocal"
    case erf = "Erf"
    case sin = "Sin"
    case cos = "Cos"
    case tan = "Tan"
    case asin = "Asin"
    case acos = "Acos"
    case atan = "Atan"
    case sinh = "Sinh"
    case cosh = "Cosh"
    case asinh = "Asinh"
    case acosh = "Acosh"
    case atanh = "Atanh"
  }
  private let function: Function
  public let gradientReads = GradientReads(inputs: [0])

  public init(_ node: Node, opset: Int) throws { function = Function(rawValue: node.opType)! }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0].take()! {
    case .float64(let x): [.float64(compute(x, context.threads))]
    case let x: [.float32(compute(try x.require(), context.threads))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func compute<T: LayerElement>(_ x: consuming Tensor<T>, _ threads: Threads) -> Tensor<T> {
    let function = function
    var y = x
    threads.forEachBlock(of: &y) { _, values in
      switch function {
      case .ceil: apply(&values) { $0.rounded(.up) }
      case .floor: apply(&values) { $0.rounded(.down) }
      case .round: apply(&values) { $0.rounded(.toNearestOrEven) }
      case .exp: apply(&values, T.exp)
      case .log: apply(&values) { T.log($0) }
      case .sqrt: apply(&values) { $0.squareRoot() }
      case .reciprocal: apply(&values) { 1 / $0 }
      case .erf: apply(&values, T.erf)
      case .sin: apply(&values, T.sin)
      case .cos: apply(&values, T.cos)
      case .tan: apply(&values, T.tan)
      case .asin: apply(&values, T.asin)
      case .acos: apply(&values, T.acos)
      case .atan: apply(&values, T.atan)
      case .sinh: apply(&values, T.sinh)
      case .cosh: apply(&values, T.cosh)
      case .asinh: apply(&values, T.asinh)
      case .acosh: apply(&values, T.acosh)
      case .atanh: apply(&values, T.atanh)
      }
    }
    return y
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let (function, x) = (function, call.inputs[0]!)
    var slope = outputGradient
    update(&slope, with: x, context.threads) { row, x in
      combine(&row, x) { $0 * Self.slope(function, $1) }
    }
    return [slope]
  }

  /// The derivative; 0 for step functions.
  private static func slope<T: LayerElement>(_ function: Function, _ x: T) -> T {
    switch function {
    case .ceil, .floor, .round: 0
    case .exp: T.exp(x)
    case .log: 1 / x
    case .sqrt: 1 / (2 * x.squareRoot())
    case .reciprocal: -1 / (x * x)
    case .erf: 2 / T.pi.squareRoot() * T.exp(-x * x)
    case .sin: T.cos(x)
    case .cos: -T.sin(x)
    case .tan: 1 / (T.cos(x) * T.cos(x))
    case .asin: 1 / (1 - x * x).squareRoot()
    case .acos: -1 / (1 - x * x).squareRoot()
    case .atan: 1 / (1 + x * x)
    case .sinh: T.cosh(x)
    case .cosh: T.sinh(x)
    case .asinh: 1 / (x * x + 1).squareRoot()
    case .acosh: 1 / (x * x - 1).squareRoot()
    case .atanh: 1 / (1 - x * x)
    }
  }
}

@inline(__always)
func apply<T>(_ values: inout MutableSpan<T>, _ f: (T) -> T) {
  for i in values.indices { unsafe values[unchecked: i] = f(values[unchecked: i]) }
}
