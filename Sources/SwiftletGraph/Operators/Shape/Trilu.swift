// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The upper (or lower, with `upper = 0`) triangles of matrices, starting at the k-th diagonal;
/// zero elsewhere.
///
/// - Source: ONNX `Trilu`.
public struct Trilu: MovingOperator {
  public static let opType = "Trilu"
  private let isUpper: Bool

  public init(_ node: Node, opset: Int) throws {
    isUpper = try node.int("upper", default: 1) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    guard x.shape.rank >= 2 else { throw mismatch("\(x.shape) has no matrices") }
    if inputs.count > 1, let k = inputs[1], k.shape.count != 1 || k.dtype != .int64 {
      throw mismatch("k is \(k.dtype) \(k.shape), but must be one int64")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func move<T: TensorElement>(
    _ x: consuming Tensor<T>, _ inputs: [AnyTensor?]
  ) throws -> [Tensor<T>] {
    let (rows, columns) = (x.shape[x.shape.rank - 2], x.shape[x.shape.rank - 1])
    let diagonal = inputs.count > 1 ? inputs[1]?.integers[0] ?? 0 : 0
    // All diagonals far off are equivalent; near ones cannot overflow.
    let k = min(max(diagonal, -rows - 1), columns + 1)
    var y = x
    var values = y.mutableSpan
    for row in 0..<values.count / max(1, columns) {
      let first = min(max(row % rows + k + (isUpper ? 0 : 1), 0), columns)
      let start = row * columns
      var zeros = values.part(
        isUpper ? start..<start + first : start + first..<start + columns)
      zeros.fill(with: .zero)
    }
    return [y]
  }
}
