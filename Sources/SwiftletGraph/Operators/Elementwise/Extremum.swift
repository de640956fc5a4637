// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The minimum, maximum, sum or mean of any number of tensors, elementwise with broadcasting.
///
/// NaN in any of them gives NaN in the result.
///
/// - Source: ONNX `Min`, `Max`, `Sum`, `Mean`.
public struct Extremum: AnyElementOperator {
  public static let opType = "Extremum"
  public static let opTypes = ["Min", "Max", "Sum", "Mean"]
  private enum Kind { case least, greatest, sum, mean }
  private let kind: Kind
  public let gradientReads: GradientReads

  public init(_ node: Node, opset: Int) throws {
    kind =
      switch node.opType {
      case "Min": .least
      case "Max": .greatest
      case "Sum": .sum
      default: .mean
      }
    gradientReads =
      kind == .least || kind == .greatest
      ? GradientReads(inputs: Set(node.inputs.indices), outputs: [0]) : GradientReads()
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    var result = try required(inputs, 0, "first input", where: \.isNumber)
    for index in 1..<max(1, inputs.count) {
      result = try broadcasting([result, required(inputs, index, "input")])
    }
    return [TensorInfo(result.dtype, result.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    func opened<T: NumberElement>(_: T.Type, _ inputs: inout [AnyTensor?]) throws -> AnyTensor {
      let typed = try inputs.map { try $0!.require(T.self) }
      inputs.removeAll()
      return AnyTensor(compute(typed, context.threads))
    }
    return [try opened(inputs[0]!.dtype.numberType(), &inputs)]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int64)
  private func compute<T: NumberElement>(_ inputs: [Tensor<T>], _ threads: Threads) -> Tensor<T> {
    let kind = kind
    var result = inputs[0].filling(inputs.reduce(.scalar) { $0.broadcast(with: $1.shape)! })
    for other in inputs.dropFirst() {
      update(&result, with: other, threads) { row, other in
        switch kind {
        case .least: combine(&row, other) { $0.isNotANumber || $0 < $1 ? $0 : $1 }
        case .greatest: combine(&row, other) { $0.isNotANumber || $0 > $1 ? $0 : $1 }
        case .sum, .mean: combine(&row, other) { $0.plus($1) }
        }
      }
    }
    guard kind == .mean else { return result }
    let count = T(converting: Int64(inputs.count))
    return result.map { $0.over(count) }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let slope = outputGradient.contiguous()
    let count = T(call.inputShapes.count)
    func given(back gradient: Tensor<T>, _ index: Int) -> Tensor<T>? {
      guard call.wanted[index], let shape = call.inputShapes[index] else { return nil }
      return gradient.summed(to: shape)
    }
    guard let y = call.outputs.first??.contiguous() else {
      let share = kind == .mean ? slope.map { $0 / count } : slope
      return call.inputShapes.indices.map { given(back: share, $0) }
    }
    // On ties, the first operand gets the whole gradient.
    var left = slope
    return call.inputs.enumerated().map { index, input in
      let x = input!.filling(y.shape).contiguous()
      var own = Tensor<T>(zeros: y.shape)
      var values = own.mutableSpan
      var rest = left.mutableSpan
      for position in values.indices where x.span[position] == y.span[position] {
        values[position] = rest[position]
        rest[position] = 0
      }
      return given(back: own, index)
    }
  }
}
