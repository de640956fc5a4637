// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import SwiftletKernels

/// a + b, a − b, a · b or a / b, elementwise with broadcasting.
///
/// Integers wrap; their quotients round towards zero, and a division by zero gives 0.
///
/// - Source: ONNX `Add`, `Sub`, `Mul`, `Div`.
public struct Arithmetic: AnyElementOperator {
  public static let opType = "Arithmetic"
  public static let opTypes = ["Add", "Sub", "Mul", "Div"]
  private enum Kind { case add, subtract, multiply, divide }
  private let kind: Kind

  public init(_ node: Node, opset: Int) throws {
    kind =
      switch node.opType {
      case "Add": .add
      case "Sub": .subtract
      case "Mul": .multiply
      default: .divide
      }
  }

  public var gradientReads: GradientReads {
    GradientReads(inputs: kind == .add || kind == .subtract ? [] : [0, 1])
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try broadcasting(inputs, where: \.isNumber)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    func opened<T: NumberElement>(_: T.Type, _ inputs: inout [AnyTensor?]) throws -> AnyTensor {
      var typed = try inputs.map { try $0?.require(T.self) }
      // The typed tensors must be the only references, otherwise nothing could be reused in place.
      inputs.removeAll()
      return AnyTensor(compute(&typed, context.threads))
    }
    return [try opened(inputs[0]!.dtype.numberType(), &inputs)]
  }

  /// Overwrites whichever side already has the shape of the result.
  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int32)
  @specialized(where T == Int64)
  private func compute<T: NumberElement>(_ inputs: inout [Tensor<T>?], _ threads: Threads)
    -> Tensor<T>
  {
    let a = inputs[0].take()!
    let b = inputs[1].take()!
    let shape = a.shape.broadcast(with: b.shape)!
    if a.shape != shape && b.shape == shape && (kind == .add || kind == .multiply) {
      return compute(over: consume b, a, threads)
    }
    return compute(over: (consume a).filling(shape), b, threads)
  }

  @inline(__always)
  private func compute<T: NumberElement>(
    over full: consuming Tensor<T>, _ other: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    let kind = kind
    update(&full, with: other, threads) { row, other in
      switch kind {
      case .add: combine(&row, other) { $0.plus($1) }
      case .subtract: combine(&row, other) { $0.minus($1) }
      case .multiply: combine(&row, other) { $0.times($1) }
      case .divide: combine(&row, other) { $0.over($1) }
      }
    }
    return full
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let dy = outputGradient.contiguous()
    return (0..<2).map { side in
      guard call.wanted[side], let shape = call.inputShapes[side] else { return nil }
      let slope = slope(dy, side, call, context.threads)
      return slope.summed(to: shape)
    }
  }

  /// The gradient with respect to one side, before it is summed over repetitions.
  private func slope<T: LayerElement>(
    _ dy: Tensor<T>, _ side: Int, _ call: ForwardCall<T>, _ threads: Threads
  ) -> Tensor<T> {
    var slope = dy
    switch (kind, side) {
    case (.add, _), (.subtract, 0): break
    case (.subtract, _): slope = dy.map { -$0 }
    case (.multiply, _):
      update(&slope, with: call.inputs[1 - side]!, threads) { row, x in combine(&row, x, *) }
    case (.divide, 0): update(&slope, with: call.inputs[1]!, threads) { row, b in combine(&row, b, /) }
    case (.divide, _):
      update(&slope, with: call.inputs[0]!, threads) { row, a in combine(&row, a, *) }
      update(&slope, with: call.inputs[1]!, threads) { row, b in
        combine(&row, b) { -$0 / ($1 * $1) }
      }
    }
    return slope
  }
}
