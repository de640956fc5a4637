// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Batched sequences with their first elements reversed; the second input gives their number for
/// each sequence.
///
/// - Source: ONNX `ReverseSequence`.
public struct ReverseSequence: MovingOperator {
  public static let opType = "ReverseSequence"
  private let timeAxis: Int
  private let batchAxis: Int

  public init(_ node: Node, opset: Int) throws {
    timeAxis = try node.int("time_axis", default: 0)
    batchAxis = try node.int("batch_axis", default: 1)
    guard Set([timeAxis, batchAxis]) == [0, 1] else {
      throw SwiftletError(
        .badInput,
        "time_axis \(timeAxis) and batch_axis \(batchAxis) of ReverseSequence must be 0 and 1")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let lengths = try required(inputs, 1, "lengths") { $0 == .int64 }
    guard x.shape.rank >= 2, lengths.shape == [x.shape[batchAxis]] else {
      throw mismatch("lengths \(lengths.shape) do not match \(x.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let shape = x.shape
    let lengths = inputs[1]!.integers
    guard lengths.allSatisfy({ 0...shape[timeAxis] ~= $0 }) else {
      throw mismatch("lengths \(lengths) exceed 0...\(shape[timeAxis])")
    }
    guard shape.count > 0 else { return [x] }
    let inner = shape.count(of: 2..<shape.rank)
    let starts = (0..<shape[0]).flatMap { row in
      (0..<shape[1]).map { column in
        let (time, batch) = timeAxis == 0 ? (row, column) : (column, row)
        let from = time < lengths[batch] ? lengths[batch] - 1 - time : time
        return (timeAxis == 0 ? from * shape[1] + batch : batch * shape[1] + from) * inner
      }
    }
    return [x.gathering(starts, length: inner, shape: shape)]
  }
}
