// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A subgraph that runs repeatedly, on loop-carried values, until a count is reached or its
/// condition turns false; its other outputs are stacked over the iterations.
///
/// - Source: ONNX `Loop`.
public struct Loop: Operator {
  public static let opType = "Loop"
  private let body: Interpreter
  /// The number of loop-carried values.
  private let carried: Int

  /// More iterations are rejected: the count comes from data, and may be unbounded.
  private static let roundLimit = 1 << 20

  public init(_ node: Node, opset: Int) throws {
    let graph = try node.graph("body")
    carried = node.inputs.count - 2
    guard carried >= 0, graph.dataInputs.count == carried + 2, graph.outputs.count > carried,
      node.outputs.count <= graph.outputs.count - 1
    else {
      throw SwiftletError(
        .badInput,
        "Loop has \(node.inputs.count) inputs and \(node.outputs.count) outputs, which do not "
          + "match the \(graph.dataInputs.count) inputs and \(graph.outputs.count) outputs of "
          + "its body")
    }
    body = try locating("body") { try Interpreter(graph, captured: node.captures) }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    if let count = inputs[0], count.dtype != .int64 || count.shape.count != 1 {
      throw mismatch("the count is \(count.dtype) \(count.shape), not one int64")
    }
    if let condition = inputs[1], condition.dtype != .bool || condition.shape.count != 1 {
      throw mismatch("the condition is \(condition.dtype) \(condition.shape), not one bool")
    }
    let state = try (2..<carried + 2).map { try required(inputs, $0, "loop-carried value") }
    let captured = inputs[(carried + 2)...].map { $0! }
    let results = try round(state, captured)
    // Without stacked values, everything is known if the shapes do not change.
    guard zip(results.dropFirst(), state).allSatisfy({ $0 == $1 }) else {
      throw DataDependentShape()
    }
    let shapes = state.map { TensorInfo($0.dtype, $0.shape) }
    let stacked = results.dropFirst(carried + 1)
    if stacked.isEmpty { return shapes }
    let goesOn = inputs[1].map { $0.value.map(Self.isTrue) ?? false } ?? true
    guard let count = inputs[0]?.value?.integers.first, goesOn,
      results[0].value.map(Self.isTrue) ?? false
    else { throw DataDependentShape() }
    let rounds = max(0, min(count, Self.roundLimit))
    return try shapes
      + stacked.map { TensorInfo($0.dtype, try Shape(checking: [rounds] + $0.shape.dimensions)) }
  }

  /// What is known of the results of any iteration.
  private func round(_ state: [TensorInfo], _ captured: [TensorInfo]) throws -> [TensorInfo] {
    let own =
      [TensorInfo(.int64, .scalar), TensorInfo(.bool, .scalar)]
      + state.map { TensorInfo($0.dtype, $0.shape) }
    return try body.inferInner(captured, inputs: own)
  }

  private static func isTrue(_ tensor: AnyTensor) -> Bool {
    if case .bool(let flags) = tensor { flags.elements.first ?? false } else { false }
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let count = inputs[0]?.integers.first ?? .max
    var goesOn = inputs[1].map(Self.isTrue) ?? true
    var state = inputs[2..<carried + 2].map { $0! }
    let captured = inputs[(carried + 2)...].map { $0! }
    var stacks = body.outputs.dropFirst(carried + 1).map { _ in TensorStack() }
    var rounds = 0
    while goesOn && rounds < count {
      guard rounds < Self.roundLimit else {
        throw SwiftletError(.unsupported, "Loop exceeds \(rounds) iterations")
      }
      let own: [AnyTensor] =
        [.int64(Tensor(.scalar, [Int64(rounds)])), .bool(Tensor(.scalar, [true]))] + state
      let results = try body.runInner(captured, inputs: own, context)
      goesOn = Self.isTrue(results[0])
      state = Array(results[1..<carried + 1])
      for index in stacks.indices { try stacks[index].append(results[carried + 1 + index]) }
      rounds += 1
    }
    if rounds == 0 && !stacks.isEmpty {
      let infos: [TensorInfo]
      do {
        infos = try round(state.map(TensorInfo.init), captured.map(TensorInfo.init))
      } catch is DataDependentShape {
        throw SwiftletError(
          .unsupported,
          "a Loop without iterations whose result shapes depend on data is not supported")
      }
      return try state
        + infos.dropFirst(carried + 1).map { try TensorStack.empty($0.dtype, $0.shape) }
    }
    return try state + stacks.map { try $0.stacked(axis: 0) }
  }
}

/// Tensors of one type and shape, to be stacked along a new axis.
struct TensorStack {
  private var tensors: [AnyTensor] = []

  /// - Throws: `badInput` if the tensor differs from the previous ones, or there are too many.
  mutating func append(_ tensor: AnyTensor) throws {
    if let first = tensors.first, first.dtype != tensor.dtype || first.shape != tensor.shape {
      throw SwiftletError(
        .badInput,
        "iterations give \(first.dtype) \(first.shape) and \(tensor.dtype) \(tensor.shape)")
    }
    tensors.append(tensor)
    let shape = try Shape(checking: [tensors.count] + tensor.shape.dimensions)
    _ = try TensorInfo(tensor.dtype, shape).limited("results of \(tensors.count) iterations")
  }

  /// The number of axes of one of the tensors.
  var rank: Int { tensors.first?.shape.rank ?? 0 }

  /// Zero tensors of a type and shape, stacked along the new `axis`.
  static func empty(_ dtype: DType, _ shape: Shape, axis: Int = 0) throws -> AnyTensor {
    var extents = shape.dimensions
    extents.insert(0, at: axis)
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(Tensor<T>(zeros: try Shape(checking: extents)))
    }
    return try opened(dtype.elementType)
  }

  /// The tensors stacked along the new `axis`, in reverse order if `reversed`.
  ///
  /// - Precondition: There is at least one.
  func stacked(axis: Int, reversed: Bool = false) throws -> AnyTensor {
    let shape = tensors[0].shape
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      var result = Tensor<T>(uninitialized: Shape([tensors.count] + shape.dimensions))
      var target = result.mutableSpan
      for (index, tensor) in (reversed ? tensors.reversed() : tensors).enumerated() {
        let packed = try tensor.require(T.self).contiguous()
        target.copy(packed.span, to: index * shape.count)
      }
      if axis == 0 { return AnyTensor(result) }
      var order = Array(1...shape.rank)
      order.insert(0, at: axis)
      return AnyTensor(result.permuted(to: order).contiguous())
    }
    return try opened(tensors[0].dtype.elementType)
  }
}
