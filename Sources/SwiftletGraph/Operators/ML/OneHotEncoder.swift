// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// For each element a new last axis with 1 at the position of its category and 0 elsewhere, in
/// fp32.
///
/// - Source: ONNX `ai.onnx.ml`, `OneHotEncoder`. An element of an unknown category gives zeros, or
///   is rejected with `zeros = 0`.
struct OneHotEncoder: Operator {
  static let opType = "OneHotEncoder"
  private let places: [Int64: Int]
  private let count: Int
  private let allowsOthers: Bool

  init(_ node: Node, opset: Int) throws {
    let categories = try node.ints("cats_int64s") ?? []
    guard !categories.isEmpty else {
      throw SwiftletError(.badInput, "OneHotEncoder has no categories")
    }
    count = categories.count
    places = Dictionary(
      zip(categories.map(Int64.init), categories.indices), uniquingKeysWith: { $1 })
    allowsOthers = try node.int("zeros", default: 1) != 0
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    return [TensorInfo(.float32, try Shape(checking: x.shape.dimensions + [count]))]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    var y = Tensor<Float>(zeros: Shape(x.shape.dimensions + [count]))
    var values = y.mutableSpan
    for (index, element) in x.integers.enumerated() {
      guard let place = places[Int64(element)] else {
        guard allowsOthers else { throw mismatch("\(element) is not a category") }
        continue
      }
      values[index * count + place] = 1
    }
    return [.float32(y)]
  }
}
