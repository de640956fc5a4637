// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCore
import SwiftletGraph
import Testing

/// Convolutions and pools over one to three axes, and activations, against numbers written out or
/// formulas in double precision.
struct LayerTests {
  private static let convolutions: [OperatorCase] = [
    OperatorCase(
      "Conv", [floats([1, 1, 5], [1, 2, 3, 4, 5]), floats([1, 1, 3], [1, 0, -1])],
      gives: floats([1, 1, 3], [-2, -2, -2])),
    OperatorCase(
      "Conv",
      [
        count([1, 1, 2, 2, 2]), floats([1, 1, 2, 2, 2], .init(repeating: 1, count: 8)),
        floats([1], [0.5]),
      ],
      gives: floats([1, 1, 1, 1, 1], [28.5])),
    OperatorCase(
      "ConvTranspose", [floats([1, 1, 3], [1, 2, 3]), floats([1, 1, 2], [10, 1])],
      ["strides": .ints([2])], gives: floats([1, 1, 6], [10, 1, 20, 2, 30, 3])),
    OperatorCase(
      "ConvTranspose", [floats([1, 1, 3], [1, 2, 3]), floats([1, 1, 2], [10, 1])],
      ["pads": .ints([1, 1])], gives: floats([1, 1, 2], [21, 32])),
    OperatorCase(
      "ConvTranspose", [floats([1, 1, 2], [1, 2]), floats([1, 1, 2], [10, 1])],
      ["strides": .ints([2]), "output_shape": .ints([5])],
      gives: floats([1, 1, 5], [10, 1, 20, 2, 0])),
  ]

  private static let pools: [OperatorCase] = [
    OperatorCase(
      "MaxPool", [floats([1, 1, 5], [3, 1, 4, 1, 5])], ["kernel_shape": .ints([2])],
      gives: floats([1, 1, 4], [3, 4, 4, 5]), ints([1, 1, 4], [0, 2, 2, 4])),
    OperatorCase(
      "MaxPool", [count([1, 1, 2, 3])], ["kernel_shape": .ints([2, 2]), "storage_order": .int(1)],
      gives: floats([1, 1, 1, 2], [4, 5]), ints([1, 1, 1, 2], [3, 5])),
    OperatorCase(
      "MaxPool", [.int8(Tensor([1, 1, 4], [-8, -3, -9, -1]))],
      ["kernel_shape": .ints([3]), "pads": .ints([1, 1])],
      gives: .int8(Tensor([1, 1, 4], [-3, -3, -1, -1]))),
    OperatorCase(
      "AveragePool", [count([1, 1, 2, 2, 2])], ["kernel_shape": .ints([2, 2, 2])],
      gives: floats([1, 1, 1, 1, 1], [3.5])),
    OperatorCase(
      "LpPool", [floats([1, 1, 4], [3, -4, 0, 5])], ["kernel_shape": .ints([2])],
      gives: floats([1, 1, 3], [5, 4, 5])),
    OperatorCase(
      "LpPool", [floats([1, 1, 3], [3, -4, 1])], ["kernel_shape": .ints([3]), "p": .int(1)],
      gives: floats([1, 1, 1], [8])),
    OperatorCase(
      "GlobalMaxPool", [floats([1, 2, 3], [1, 7, 3, -4, -2, -9])],
      gives: floats([1, 2, 1], [7, -2])),
    OperatorCase(
      "GlobalLpPool", [floats([1, 1, 2, 2], [1, -1, 1, 1])], gives: floats([1, 1, 1, 1], [2])),
    OperatorCase(
      "Clip", [floats([4], [-3, 0.5, 9, 1]), floats([], [0]), floats([], [1])],
      gives: floats([4], [0, 0.5, 1, 1])),
    OperatorCase(
      "Clip", [ints([3], [-3, 0, 9]), nil, ints([], [4])], gives: ints([3], [-3, 0, 4])),
    OperatorCase(
      "Clip", [floats([2], [1, 5]), floats([], [4]), floats([], [2])], gives: floats([2], [2, 2])),
    OperatorCase(
      "PRelu", [floats([2, 2], [-1, 2, -3, -4]), floats([2], [0.5, 2])],
      gives: floats([2, 2], [-0.5, 2, -1.5, -8])),
    OperatorCase(
      "Hardmax", [floats([2, 3], [1, 4, 4, 0, -1, -2])],
      gives: floats([2, 3], [0, 1, 0, 1, 0, 0])),
  ]

  @Test(arguments: convolutions + pools, [1, 2])
  func results(test: OperatorCase, threads: Int) throws {
    try test.check(threads: threads)
  }

  @Test func poolsKeepNaN() throws {
    let x = floats([1, 1, 5], [1, .nan, 2, 3, 4])
    for opType in ["MaxPool", "AveragePool", "LpPool"] {
      let y = try compute(opType, [x], ["kernel_shape": .ints([2])])[0]
      #expect(
        y.typed(as: Float.self)!.elements.map(\.isNaN) == [true, true, false, false], "\(opType)")
    }
  }

  /// A function that an activation must agree with.
  struct Formula: Sendable, CustomStringConvertible {
    let opType: String
    let attributes: [String: Attribute]
    let f: @Sendable (Double) -> Double
    var description: String { "\(opType) \(attributes)" }

    init(
      _ opType: String, _ attributes: [String: Attribute] = [:],
      _ f: @escaping @Sendable (Double) -> Double
    ) {
      (self.opType, self.attributes, self.f) = (opType, attributes, f)
    }
  }

  private static let formulas: [Formula] = [
    Formula("Celu", ["alpha": .float(0.5)]) { max(0, $0) + min(0, 0.5 * (exp($0 / 0.5) - 1)) },
    Formula("Elu", ["alpha": .float(2)]) { $0 < 0 ? 2 * (exp($0) - 1) : $0 },
    Formula("Gelu") { $0 * (1 + erf($0 / 2.0.squareRoot())) / 2 },
    Formula("Gelu", ["approximate": .string("tanh")]) {
      $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) / 2
    },
    Formula("HardSigmoid") { min(1, max(0, 0.2 * $0 + 0.5)) },
    Formula("HardSwish") { $0 * min(1, max(0, $0 / 6 + 0.5)) },
    Formula("LeakyRelu") { $0 < 0 ? 0.01 * $0 : $0 },
    Formula("Mish") { $0 * tanh(log1p(exp($0))) },
    Formula("Selu") { 1.0507009873554805 * ($0 < 0 ? 1.6732632423543772 * (exp($0) - 1) : $0) },
    Formula("Sigmoid") { 1 / (1 + exp(-$0)) },
    Formula("Softplus") { log1p(exp($0)) },
    Formula("Softsign") { $0 / (1 + abs($0)) },
    Formula("Swish", ["alpha": .float(0.5)]) { $0 / (1 + exp(-0.5 * $0)) },
    Formula("Tanh") { tanh($0) },
    Formula("ThresholdedRelu") { $0 > 1 ? $0 : 0 },
  ]

  @Test(arguments: formulas)
  func activationsFollowTheirFormulas(test: Formula) throws {
    let x = (-300...300).map { Float($0) / 37 }
    let y = try compute(test.opType, [floats([x.count], x)], test.attributes)[0]
    for (x, y) in zip(x, y.typed(as: Float.self)!.elements) {
      let expected = test.f(Double(x))
      #expect(abs(Double(y) - expected) <= 2e-6 * max(1, abs(expected)), "at \(x)")
    }
    let ends = try compute(test.opType, [floats([2], [100, -100])], test.attributes)[0]
    #expect(ends.typed(as: Float.self)!.elements.allSatisfy { $0.isFinite })
  }

  private static let refusals: [Refusal] = [
    Refusal("Conv", [count([1, 4, 5]), count([3, 3, 2])], ["group": .int(2)]),
    Refusal("Conv", [count([1, 4]), count([3, 4])]),
    Refusal("Conv", [count([1, 1, 2, 2, 2, 2]), count([1, 1, 1, 1, 1, 1])]),
    Refusal("Conv", [count([1, 1, 5]), count([1, 1, 3]), count([2])]),
    Refusal("ConvTranspose", [count([1, 2, 3]), count([3, 1, 2])]),
    Refusal("ConvTranspose", [count([1, 1, 1]), count([1, 1, 2])], ["pads": .ints([1, 1])]),
    Refusal(
      "ConvTranspose", [count([1, 1, 3]), count([1, 1, 2])], ["output_padding": .ints([1, 1])]),
    Refusal("MaxPool", [count([1, 1, 2])], ["kernel_shape": .ints([3])]),
    Refusal("MaxPool", [count([1, 1, 2])], ["kernel_shape": .ints([2]), "pads": .ints([2, 0])]),
    Refusal("LpPool", [count([1, 1, 2])], ["kernel_shape": .ints([2]), "p": .int(0)]),
    Refusal("GlobalMaxPool", [count([1, 1, 0])]),
    Refusal("Clip", [count([3]), floats([2], [0, 1])]),
    Refusal("Clip", [count([3]), ints([], [0])]),
    Refusal("PRelu", [count([3]), count([2, 3])]),
    Refusal("Gelu", [count([3])], ["approximate": .string("cosine")]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }
}
