// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// How an update is combined with the existing element.
struct ScatterReduction: Sendable {
  private enum Kind: String { case none, add, mul, max, min }
  private let kind: Kind

  init(_ node: Node) throws {
    let name = try node.string("reduction", default: "none")
    guard let kind = Kind(rawValue: name) else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has reduction '\(name)', which must be none, add, mul, max or min")
    }
    self.kind = kind
  }

  func supports(_ dtype: DType) -> Bool { kind == .none || dtype.isNumber }

  /// Writes blocks of `length` elements into a tensor, each at its start position; later ones win.
  func apply<T: TensorElement>(
    _ updates: Tensor<T>, to tensor: inout Tensor<T>, at places: [Int], length: Int
  ) throws {
    guard kind != .none else { return tensor.scatter(updates, to: places, length: length) }
    func opened<N: NumberElement>(_: N.Type) throws -> AnyTensor {
      var numbers = try AnyTensor(tensor).require(N.self)
      reduce(try AnyTensor(updates).require(N.self), into: &numbers, at: places, length: length)
      return AnyTensor(numbers)
    }
    tensor = try opened(T.dtype.numberType()).require()
  }

  @specialized(where N == Float)
  @specialized(where N == Int64)
  private func reduce<N: NumberElement>(
    _ updates: Tensor<N>, into tensor: inout Tensor<N>, at places: [Int], length: Int
  ) {
    let updates = updates.contiguous()
    let addends = updates.span
    var target = tensor.mutableSpan
    for (block, place) in places.enumerated() {
      for i in 0..<length {
        let (old, new) = (target[place + i], addends[block * length + i])
        target[place + i] =
          switch kind {
          case .none: new
          case .add: old.plus(new)
          case .mul: old.times(new)
          case .max: old < new ? new : old
          case .min: new < old ? new : old
          }
      }
    }
  }
}

/// A copy of the input with elements replaced by updates, or reduced with them: each at its own
/// position, except along one axis, where the index gives the position.
///
/// - Source: ONNX `ScatterElements`; `Scatter`, its name before operator set 11.
public struct ScatterElements: MovingOperator {
  public static let opType = "ScatterElements"
  public static let opTypes = ["Scatter", "ScatterElements"]
  private let axis: Int
  private let reduction: ScatterReduction

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 0)
    reduction = try ScatterReduction(node)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: reduction.supports)
    let indices = try required(inputs, 1, "indices") { $0 == .int64 || $0 == .int32 }
    let updates = try required(inputs, 2, "updates")
    try checkElementIndices(indices, x.shape, axis: axis(axis, rank: x.shape.rank))
    guard updates.shape == indices.shape, updates.dtype == x.dtype else {
      throw mismatch(
        "updates \(updates.dtype) \(updates.shape) do not match indices \(indices.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    var y = x
    let axis = try axis(axis, rank: y.shape.rank)
    let places = try elementPlaces(inputs[1]!, along: axis, in: y.shape)
    try reduction.apply(inputs[2]!.require(), to: &y, at: places, length: 1)
    return [y]
  }
}

/// A copy of the input with blocks, addressed by the rows of leading indices in the second input,
/// replaced by updates, or reduced with them.
///
/// - Source: ONNX `ScatterND`.
public struct ScatterND: MovingOperator {
  public static let opType = "ScatterND"
  private let reduction: ScatterReduction

  public init(_ node: Node, opset: Int) throws { reduction = try ScatterReduction(node) }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: reduction.supports)
    let indices = try required(inputs, 1, "indices") { $0 == .int64 }
    let updates = try required(inputs, 2, "updates")
    let block = try blockShape(indices.shape, x.shape, batch: 0)
    guard updates.shape.dimensions == indices.shape.dimensions.dropLast() + block,
      updates.dtype == x.dtype
    else {
      throw mismatch(
        "updates \(updates.dtype) \(updates.shape) do not match indices \(indices.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    var y = x
    let length = Shape(try blockShape(inputs[1]!.shape, y.shape, batch: 0)).count
    let places = try blockPlaces(inputs[1]!, batch: 0, in: y.shape)
    try reduction.apply(inputs[2]!.require(), to: &y, at: places, length: length)
    return [y]
  }
}
