// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Elementwise functions of one number of any type: −x, |x| and the sign −1, 0 or 1.
///
/// NaN stays NaN. The lowest integer is its own negative and absolute value.
///
/// - Source: ONNX `Neg`, `Abs`, `Sign`.
public struct Sign: AnyElementOperator {
  public static let opType = "Sign"
  public static let opTypes = ["Neg", "Abs", "Sign"]
  private let name: String
  public let gradientReads = GradientReads(inputs: [0])

  public init(_ node: Node, opset: Int) throws { name = node.opType }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(compute(try x.require(T.self), context.threads))
    }
    return [try opened(x.dtype.numberType())]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int64)
  private func compute<T: NumberElement>(_ x: Tensor<T>, _ threads: Threads) -> Tensor<T> {
    let name = name
    var y = x
    threads.forEachBlock(of: &y) { _, values in
      switch name {
      // −0 is not 0 − 0.
      case "Neg": apply(&values) { $0 == .zero ? $0.times(T.zero.minus(.one)) : T.zero.minus($0) }
      case "Abs": apply(&values) { $0 < .zero ? T.zero.minus($0) : $0 == .zero ? .zero : $0 }
      default:
        apply(&values) {
          $0 > .zero ? .one : $0 < .zero ? T.zero.minus(.one) : $0.isNotANumber ? $0 : .zero
        }
      }
    }
    return y
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let (name, x) = (name, call.inputs[0]!)
    var slope = outputGradient
    update(&slope, with: x, context.threads) { row, x in
      switch name {
      case "Neg": combine(&row, x) { slope, _ in -slope }
      case "Abs": combine(&row, x) { $1 < 0 ? -$0 : $1 == 0 ? 0 : $0 }
      default: combine(&row, x) { _, _ in 0 }
      }
    }
    return [slope]
  }
}
