// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The distinct elements, or the distinct slices along an axis, sorted or in order of first
/// appearance; the first index of each, the group of each element, and the number of occurrences.
///
/// - Source: ONNX `Unique`. NaN sorts after all numbers and differs from itself.
public struct Unique: Operator {
  public static let opType = "Unique"
  private let axis: Int?
  private let sorts: Bool

  public init(_ node: Node, opset: Int) throws {
    axis = node.attributes["axis"] == nil ? nil : try node.int("axis", default: 0)
    sorts = try node.int("sorted", default: 1) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input") { $0.isNumber || $0 == .bool }
    let axis = try axis.map { try self.axis($0, rank: x.shape.rank) }
    guard let value = x.value else { throw DataDependentShape() }
    let groups = try groups(value)
    let count = groups.first.count
    let shape = axis.map { x.shape.replacing(axis: $0, with: count) } ?? [count]
    return [
      TensorInfo(x.dtype, shape), TensorInfo(.int64, [count]),
      TensorInfo(.int64, [groups.inverse.count]), TensorInfo(.int64, [count]),
    ]
  }

  /// Equal slices, grouped.
  private struct Groups {
    /// The first slice of each group, the group of each slice, the size of each group.
    var first: [Int] = []
    var inverse: [Int] = []
    var counts: [Int] = []
  }

  private func groups(_ x: AnyTensor) throws -> Groups {
    if x.dtype == .bool { return try groups(x.converted(to: .uint8)) }
    func opened<T: NumberElement>(_: T.Type) throws -> Groups {
      let tensor = try x.require(T.self)
      guard let axis = try axis.map({ try self.axis($0, rank: x.shape.rank) }) else {
        return grouped(tensor.elements, length: 1, count: tensor.count)
      }
      let order = [axis] + (0..<x.shape.rank).filter { $0 != axis }
      let extent = x.shape[axis]
      return grouped(
        tensor.permuted(to: order).elements, length: tensor.count / max(1, extent), count: extent)
    }
    return try opened(x.dtype.numberType())
  }

  /// - Parameter values: `count` slices of `length` elements.
  @specialized(where T == Float)
  @specialized(where T == Int64)
  private func grouped<T: NumberElement>(_ values: [T], length: Int, count: Int) -> Groups {
    func isLess(_ a: Int, _ b: Int) -> Bool {
      for i in 0..<length {
        let (x, y) = (values[a * length + i], values[b * length + i])
        if x.isNotANumber || y.isNotANumber {
          if x.isNotANumber && y.isNotANumber { continue }
          return y.isNotANumber
        }
        if x != y { return x < y }
      }
      return a < b
    }
    func isEqual(_ a: Int, _ b: Int) -> Bool {
      (0..<length).allSatisfy { values[a * length + $0] == values[b * length + $0] }
    }
    let order = (0..<count).sorted(by: isLess)
    var groups = Groups(inverse: [Int](repeating: 0, count: count))
    for (position, slice) in order.enumerated() {
      if position == 0 || !isEqual(order[position - 1], slice) {
        groups.first.append(slice)
        groups.counts.append(0)
      }
      groups.inverse[slice] = groups.first.count - 1
      groups.counts[groups.counts.count - 1] += 1
    }
    if sorts { return groups }
    let ranks = groups.first.indices.sorted { groups.first[$0] < groups.first[$1] }
    var place = ranks
    for (new, old) in ranks.enumerated() { place[old] = new }
    return Groups(
      first: ranks.map { groups.first[$0] }, inverse: groups.inverse.map { place[$0] },
      counts: ranks.map { groups.counts[$0] })
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let x = inputs[0]!
    let groups = try groups(x)
    func list(_ numbers: [Int]) -> AnyTensor {
      .int64(Tensor([numbers.count], numbers.map(Int64.init)))
    }
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      let tensor = try x.require(T.self).contiguous()
      guard let axis = try axis.map({ try self.axis($0, rank: x.shape.rank) }) else {
        return AnyTensor(
          tensor.gathering(groups.first, length: 1, shape: [groups.first.count]))
      }
      let inner = x.shape.count(of: axis + 1..<x.shape.rank)
      let target = x.shape.replacing(axis: axis, with: groups.first.count)
      guard target.count > 0 else { return AnyTensor(Tensor<T>(zeros: target)) }
      let starts = (0..<x.shape.count(of: 0..<axis)).flatMap { outer in
        groups.first.map { (outer * x.shape[axis] + $0) * inner }
      }
      return AnyTensor(tensor.gathering(starts, length: inner, shape: target))
    }
    return [
      try opened(x.dtype.elementType), list(groups.first), list(groups.inverse),
      list(groups.counts),
    ]
  }
}
