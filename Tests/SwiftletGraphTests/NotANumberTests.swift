// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// What operators make of NaN and infinities, as onnxruntime and NumPy do.
struct NotANumberTests {
  private func elements(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute] = [:]
  ) throws -> [Float] {
    try compute(opType, inputs, attributes)[0].require(Float.self).elements
  }

  /// NaN counts as the greatest: the first of the largest, the last of the smallest.
  @Test(arguments: [(1, [1, 3]), (0, [0, 2])] as [(Int, [Int64])])
  func topK(largest: Int, places: [Int64]) throws {
    let x = floats([1, 4], [2, .nan, 3, 4])
    let results = try compute(
      "TopK", [x, list(2)], ["axis": .int(1), "largest": .int(largest)], outputs: 2)
    #expect(results[1] == ints([1, 2], places))
    let values = try results[0].require(Float.self).elements
    #expect(values[0].isNaN == (largest == 1))
    #expect(values[1] == (largest == 1 ? 4 : 3))
  }

  @Test func thresholdedReluGivesZero() throws {
    #expect(try elements("ThresholdedRelu", [floats([3], [.nan, 2, 1])]) == [0, 2, 0])
  }

  @Test(arguments: ["Max", "Min"])
  func elementwiseExtremesKeepNaN(opType: String) throws {
    let a = floats([3], [.nan, 1, 2])
    let b = floats([3], [1, .nan, 2])
    #expect(try elements(opType, [a, b]).map(\.isNaN) == [true, true, false])
  }

  @Test(arguments: ["ReduceMax", "ReduceMin", "ReduceSum"])
  func reductionsKeepNaNWhereverItIs(opType: String) throws {
    for place in 0..<3 {
      var values: [Float] = [1, 2, 3]
      values[place] = .nan
      #expect(try elements(opType, [floats([3], values)]).map(\.isNaN) == [true])
    }
  }

  @Test(arguments: ["Relu", "LeakyRelu", "Clip", "HardSigmoid", "Sigmoid", "Elu", "Sign"])
  func curvesKeepNaN(opType: String) throws {
    #expect(try elements(opType, [floats([2], [.nan, 1])]).map(\.isNaN) == [true, false])
  }

  @Test func powersOfMinusInfinity() throws {
    let x = floats([3], [-.infinity, -.infinity, -.infinity])
    let y = try elements("Pow", [x, floats([3], [1.5, -1.5, 3])])
    #expect(y == [.infinity, 0, -.infinity])
  }
}
