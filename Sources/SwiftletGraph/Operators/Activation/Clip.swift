// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// y = min(max(x, low), high), elementwise, on numbers of any type. NaN stays NaN; if the bounds
/// cross, the upper one wins.
///
/// - Source: ONNX `Clip`. The bounds are attributes up to operator set 10, inputs from 11 on. From
///   6 on, omitted bounds are the lowest and the highest finite number of the type, so that ±∞ are
///   clipped.
public struct Clip: AnyElementOperator {
  public static let opType = "Clip"
  public let gradientReads = GradientReads(inputs: [0], outputs: [0])
  public let untrainedInputs: Set<Int> = [1, 2]
  /// The bounds given as attributes.
  private let least, greatest: Float?
  /// Whether an omitted bound is the highest finite number.
  private let isFinite: Bool

  public init(_ node: Node, opset: Int) throws {
    func bound(_ name: String) throws -> Float? {
      node.attributes[name] == nil ? nil : try node.float(name, default: 0)
    }
    (least, greatest) = (try bound("min"), try bound("max"))
    isFinite = opset >= 6
  }

  /// The upper bound of fp32 values if a node omits it, and the negative of the lower one.
  package static func greatestBound(opset: Int) -> Float {
    opset >= 6 ? .greatestFiniteMagnitude : .infinity
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    for case let bound? in inputs.dropFirst() {
      guard bound.dtype == x.dtype, bound.shape.count == 1 else {
        throw mismatch("a bound is \(bound.dtype) \(bound.shape), not one \(x.dtype) number")
      }
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  private func bounds<T: NumberElement>(_ inputs: [Tensor<T>?]) -> (least: T, greatest: T) {
    func bound(_ index: Int, _ attribute: Float?, _ none: T) -> T {
      if index < inputs.count, let tensor = inputs[index] { return tensor.elements[0] }
      return attribute.map { T(converting: Double($0)) } ?? none
    }
    return (
      bound(1, least, isFinite ? .leastFinite : .lowest),
      bound(2, greatest, isFinite ? .greatestFinite : .highest)
    )
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    func opened<T: NumberElement>(_: T.Type) throws -> AnyTensor {
      var operands: [Tensor<T>?] = try inputs.map { try $0?.require() }
      inputs.removeAll()
      return AnyTensor(clip(&operands, context.threads))
    }
    return [try opened(inputs[0]!.dtype.numberType())]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  @specialized(where T == Int64)
  @specialized(where T == Int32)
  private func clip<T: NumberElement>(
    _ inputs: inout [Tensor<T>?], _ threads: Threads
  ) -> Tensor<T> {
    let (least, greatest) = bounds(inputs)
    var y = inputs[0].take()!
    threads.forEachBlock(of: &y) { _, values in
      apply(&values) {
        let raised = $0 < least ? least : $0
        return raised > greatest ? greatest : raised
      }
    }
    return y
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    var slope = outputGradient
    update(&slope, with: call.inputs[0]!, call.outputs[0]!, context.threads) { values, x, y in
      for i in values.indices where x[i] != y[i] { values[i] = 0 }
    }
    return [slope] + [Tensor<T>?](repeating: nil, count: call.wanted.count - 1)
  }
}
