// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Σ coefficient · kernel(row, vector) + rho for rows N×F, or its sign with `one_class`: N×1.
///
/// Without support vectors the coefficients are feature weights.
///
/// - Source: ONNX `ai.onnx.ml`, `SVMRegressor`.
struct SupportVectorRegressor: Operator {
  static let opType = "SVMRegressor"
  private let vectors: SupportVectors
  private let coefficients: [Float]
  private let rho: Float
  private let isOneClass: Bool
  private let transform: PostTransform

  init(_ node: Node, opset: Int) throws {
    coefficients = try node.floats("coefficients") ?? []
    let count = try node.int("n_supports", default: 0)
    vectors = try SupportVectors(node, count: count, coefficients: coefficients.count, scores: 1)
    rho = try node.floats("rho")?.first ?? 0
    isOneClass = try node.int("one_class", default: 0) != 0
    transform = try PostTransform(node)
    guard count == 0 || coefficients.count == count else {
      throw SwiftletError(
        .badInput,
        "SVMRegressor has \(coefficients.count) coefficients, but must have one for each of its "
          + "\(count) vectors")
    }
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let rows = try rows(inputs)
    guard rows.width == vectors.width else {
      throw mismatch("the input has \(rows.width) features, but the vectors have \(vectors.width)")
    }
    return [TensorInfo(.float32, [rows.count, 1])]
  }

  func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    (inputs[0]?.count ?? 0) * max(1, vectors.count)
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = try inputs[0]!.converted(to: .float32).require(Float.self).contiguous()
    let width = vectors.width
    var y = Tensor<Float>(uninitialized: [x.count / width, 1])
    context.threads.forEachBlock(of: &y, minimumWork: 1) { rows, output in
      for row in rows {
        let features = (row * width..<(row + 1) * width).map { x.span[$0] }
        let values = vectors.count > 0 ? vectors.kernels(features) : nil
        let sum =
          values.map { zip($0, coefficients).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
          ?? vectors.kernel(features, coefficients[...])
        var scores = [sum + rho]
        if isOneClass { scores[0] = scores[0] > 0 ? 1 : -1 }
        transform.apply(&scores)
        output[row - rows.lowerBound] = scores[0]
      }
    }
    return [.float32(y)]
  }
}
