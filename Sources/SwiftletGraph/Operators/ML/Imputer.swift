// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Replaces missing values by the value of their feature.
///
/// NaN counts as missing if the attribute `replaced_value_float` is NaN. Features are along the
/// last axis.
///
/// - Source: ONNX `ai.onnx.ml`, `Imputer`.
struct Imputer: Operator {
  static let opType = "Imputer"
  private let floats: [Float]
  private let integers: [Int]
  private let missingFloat: Float
  private let missingInteger: Int

  init(_ node: Node, opset: Int) throws {
    floats = try node.floats("imputed_value_floats") ?? []
    integers = try node.ints("imputed_value_int64s") ?? []
    missingFloat = try node.float("replaced_value_float", default: 0)
    missingInteger = try node.int("replaced_value_int64", default: 0)
    guard floats.isEmpty != integers.isEmpty else {
      throw SwiftletError(.badInput, "Imputer has no values, or values of two types")
    }
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input") { $0 == (floats.isEmpty ? .int64 : .float32) }
    let count = max(floats.count, integers.count)
    guard x.shape.rank > 0, count == 1 || count == x.shape[x.shape.rank - 1] else {
      throw mismatch("\(count) values do not match the features of \(x.shape)")
    }
    return [TensorInfo(x.dtype, x.shape)]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0].take()!
    let width = max(1, x.shape[x.shape.rank - 1])
    if floats.isEmpty {
      var y = try x.require(Int64.self).contiguous()
      var values = y.mutableSpan
      for i in values.indices where values[i] == Int64(missingInteger) {
        values[i] = Int64(integers[integers.count == 1 ? 0 : i % width])
      }
      return [.int64(y)]
    }
    var y = try x.require(Float.self).contiguous()
    var values = y.mutableSpan
    for i in values.indices
    where missingFloat.isNaN ? values[i].isNaN : values[i] == missingFloat {
      values[i] = floats[floats.count == 1 ? 0 : i % width]
    }
    return [.float32(y)]
  }
}
