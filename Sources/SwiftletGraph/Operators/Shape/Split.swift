// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Splits the input along an axis, one piece per output.
///
/// - Source: ONNX `Split`. The lengths of the pieces are an attribute up to operator set 12 and an
///   input from 13 on (in 1 either, and the input may be floats); without them all pieces have
///   equal lengths, except, from 18 on, the last one.
public struct Split: MovingOperator {
  public static let opType = "Split"
  private let axis: Int
  private let lengths: [Int]?
  private let pieces: Int

  public init(_ node: Node, opset: Int) throws {
    axis = try node.int("axis", default: 0)
    lengths = try node.ints("split")
    pieces = try node.int("num_outputs", default: node.outputs.count)
    guard pieces == node.outputs.count else {
      throw SwiftletError(
        .badInput, "Split has num_outputs = \(pieces), but \(node.outputs.count) outputs")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let axis = try axis(axis, rank: x.shape.rank)
    let lengths = try lengths(x.shape[axis], wholeNumbers(inputs, 1, "split"))
    return lengths.map { TensorInfo(x.dtype, x.shape.replacing(axis: axis, with: $0)) }
  }

  private func lengths(_ extent: Int, _ input: [Int]?) throws -> [Int] {
    guard let given = input ?? lengths else {
      let length = (extent + pieces - 1) / pieces
      return (0..<pieces).map { max(0, min(length, extent - $0 * length)) }
    }
    guard given.count == pieces, given.allSatisfy({ 0...extent ~= $0 }),
      given.reduce(0, +) == extent
    else {
      throw mismatch("an extent of \(extent) cannot be split into \(pieces) pieces of \(given)")
    }
    return given
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let axis = try axis(axis, rank: x.shape.rank)
    var start = 0
    return try lengths(x.shape[axis], inputs.count > 1 ? inputs[1]?.integers : nil).map { length in
      defer { start += length }
      return x.slice(axis: axis, range: start..<start + length).contiguous()
    }
  }
}
