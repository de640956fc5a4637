// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// Scores x·coefficientsᵀ + intercepts of rows N×F (`LinearRegressor`), and the label of the
/// highest one (`LinearClassifier`): outputs N labels and N×C scores.
///
/// A single score with two labels is that of the second; the first one's is 1 − score.
///
/// - Source: ONNX `ai.onnx.ml`.
struct LinearModel: Operator {
  static let opType = "LinearRegressor"
  static let opTypes = ["LinearRegressor", "LinearClassifier"]
  private let coefficients, intercepts: [Float]
  private let targets: Int
  private let labels: ClassLabels?
  private let transform: PostTransform

  init(_ node: Node, opset: Int) throws {
    coefficients = try node.floats("coefficients") ?? []
    transform = try PostTransform(node)
    let given = try node.floats("intercepts") ?? []
    if node.opType == "LinearClassifier" {
      let labels = try ClassLabels(node, "classlabels_ints")
      self.labels = labels
      targets = given.isEmpty ? max(1, labels.values.count) : given.count
    } else {
      labels = nil
      targets = try node.int("targets", default: 1)
    }
    guard 1...1 << 24 ~= targets, given.isEmpty || given.count == targets, !coefficients.isEmpty,
      coefficients.count % targets == 0
    else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has \(coefficients.count) coefficients, \(given.count) intercepts and "
          + "\(targets) targets, which do not match")
    }
    intercepts = given.isEmpty ? [Float](repeating: 0, count: targets) : given
  }

  private var width: Int { coefficients.count / targets }
  /// Whether one score represents two labels.
  private var addsSecond: Bool { targets == 1 && labels?.values.count == 2 }
  private var columns: Int { addsSecond ? 2 : targets }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let rows = try rows(inputs)
    guard rows.width == width else {
      throw mismatch(
        "the input has \(rows.width) features, but there are coefficients for \(width)")
    }
    let scores = TensorInfo(.float32, try Shape(checking: [rows.count, columns]))
    return labels == nil ? [scores] : [TensorInfo(.int64, [rows.count]), scores]
  }

  func macs(inputs: [Shape?], outputs: [Shape]) -> Int { (inputs[0]?.count ?? 0) * targets }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = try inputs[0]!.converted(to: .float32).require(Float.self).contiguous()
    let rows = x.count / width
    let weights = Tensor([targets, width], coefficients)
    let product = try MatMul.product(
      .float32(x.reshaped(to: [rows, width])), .float32(weights.permuted(to: [1, 0])),
      context.threads
    ).require(Float.self).elements
    var results: [Float] = []
    results.reserveCapacity(rows * columns)
    var chosen: [Int64] = []
    for row in 0..<rows {
      var scores = (0..<targets).map { product[row * targets + $0] + intercepts[$0] }
      if let labels {
        let best =
          targets == 1 ? (scores[0] > 0 ? 1 : 0) : scores.indices.max { scores[$0] < scores[$1] }!
        chosen.append(labels[best])
      }
      if !addsSecond || transform == .logistic || transform == .probit { transform.apply(&scores) }
      if addsSecond { scores.insert(1 - scores[0], at: 0) }
      results += scores
    }
    let scores = AnyTensor.float32(Tensor([rows, columns], results))
    return labels == nil ? [scores] : [.int64(Tensor([rows], chosen)), scores]
  }
}
