// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// (x − mean) / (standard deviation + 1e-9) over some axes: by default all image axes except the
/// channels.
///
/// - Source: ONNX `MeanVarianceNormalization`.
public struct MeanVarianceNormalization: Operator {
  public static let opType = "MeanVarianceNormalization"
  private let axes: [Int]

  public init(_ node: Node, opset: Int) throws { axes = try node.ints("axes") ?? [0, 2, 3] }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input")
    _ = try axes(axes, rank: x.shape.rank)
    return [TensorInfo(x.dtype, x.shape)]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0].take()! {
    case .float64(let x): [.float64(try normalized(x))]
    case let x: [.float32(try normalized(x.require()))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func normalized<T: LayerElement>(_ x: Tensor<T>) throws -> Tensor<T> {
    let joined = try axes(axes, rank: x.shape.rank)
    let order = (0..<x.shape.rank).filter { !joined.contains($0) } + joined
    let ordered = x.permuted(to: order)
    let length = joined.reduce(1) { $0 * x.shape[$1] }
    guard x.count > 0 else { return x }
    var rows = ordered.contiguous()
    var values = rows.mutableSpan
    for row in 0..<x.count / length {
      var part = values.part(row * length..<(row + 1) * length)
      var (sum, squares) = (0.0, 0.0)
      for i in part.indices { sum += Double(part[i]) }
      let mean = sum / Double(length)
      for i in part.indices { squares += (Double(part[i]) - mean) * (Double(part[i]) - mean) }
      let deviation = (squares / Double(length)).squareRoot() + 1e-9
      for i in part.indices { part[i] = T((Double(part[i]) - mean) / deviation) }
    }
    let back = order.indices.map { order.firstIndex(of: $0)! }
    return rows.permuted(to: back).contiguous()
  }
}
