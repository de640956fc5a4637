// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The slices along an axis (or, without an axis, the elements) where the condition is true.
///
/// - Source: ONNX `Compress`.
public struct Compress: MovingOperator {
  public static let opType = "Compress"
  private let axis: Int?

  public init(_ node: Node, opset: Int) throws {
    axis = node.attributes["axis"] == nil ? nil : try node.int("axis", default: 0)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let condition = try required(inputs, 1, "condition") { $0 == .bool }
    let axis = try axis.map { try self.axis($0, rank: x.shape.rank) }
    guard condition.shape.rank == 1,
      condition.shape[0] <= axis.map({ x.shape[$0] }) ?? x.shape.count
    else { throw mismatch("condition \(condition.shape) does not match \(x.shape)") }
    guard let value = condition.value else { throw DataDependentShape() }
    let kept = try Self.kept(value).count
    return [TensorInfo(x.dtype, axis.map { x.shape.replacing(axis: $0, with: kept) } ?? [kept])]
  }

  private static func kept(_ condition: AnyTensor) throws -> [Int] {
    let flags = try condition.require(Bool.self).elements
    return flags.indices.filter { flags[$0] }
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let kept = try Self.kept(inputs[1]!)
    guard let axis = try axis.map({ try self.axis($0, rank: x.shape.rank) }) else {
      return [x.gathering(kept, length: 1, shape: [kept.count])]
    }
    let inner = x.shape.count(of: axis + 1..<x.shape.rank)
    let target = x.shape.replacing(axis: axis, with: kept.count)
    guard target.count > 0 else { return [Tensor(zeros: target)] }
    let starts = (0..<x.shape.count(of: 0..<axis)).flatMap { outer in
      kept.map { (outer * x.shape[axis] + $0) * inner }
    }
    return [x.gathering(starts, length: inner, shape: target)]
  }
}
