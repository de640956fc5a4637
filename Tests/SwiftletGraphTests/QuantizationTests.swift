// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Quantization to other types than bytes, by blocks, and products of quantized matrices.
struct QuantizationTests {
  private static func compact(_ dtype: DType, _ shape: Shape, _ values: [Float]) -> AnyTensor {
    floats(shape, values).converted(to: dtype)
  }

  private static let x = floats([2, 3], [-100, -1.5, 0.5, 1.5, 2.5, 100])
  private static let cases: [OperatorCase] = [
    OperatorCase(
      "QuantizeLinear", [x, floats([], [1]), compact(.int4, [], [1])],
      gives: compact(.int4, [2, 3], [-8, -1, 1, 3, 3, 7]), opset: 21),
    OperatorCase(
      "QuantizeLinear", [x, floats([], [0.5])], ["output_dtype": .int(25)],
      gives: compact(.uint2, [2, 3], [0, 0, 1, 3, 3, 3]), opset: 25),
    OperatorCase(
      "QuantizeLinear", [x, floats([], [0.001]), .int16(Tensor([], [5]))],
      gives: .int16(Tensor([2, 3], [-32768, -1495, 505, 1505, 2505, 32767])), opset: 21),
    OperatorCase(
      "QuantizeLinear", [x, floats([], [1]), compact(.float8e4m3fn, [], [0])],
      gives: compact(.float8e4m3fn, [2, 3], [-96, -1.5, 0.5, 1.5, 2.5, 96]), opset: 19),
    // Blocks of two: one scale for columns 0 and 1, one for column 2.
    OperatorCase(
      "QuantizeLinear",
      [x, floats([2, 2], [10, 0.5, 1, 50]), .int8(Tensor([2, 2], [0, 1, 2, 3]))],
      ["axis": .int(1), "block_size": .int(2)],
      gives: .int8(Tensor([2, 3], [-10, 0, 2, 4, 4, 5])), opset: 21),
    OperatorCase(
      "DequantizeLinear",
      [
        .uint8(Tensor([3, 2], [1, 2, 3, 4, 5, 6])), floats([2, 2], [1, 10, 100, 1000]),
        .uint8(Tensor([2, 2], [1, 0, 0, 1])),
      ], ["axis": .int(0), "block_size": .int(2)],
      gives: floats([3, 2], [0, 20, 2, 40, 500, 5000]), opset: 21),
    OperatorCase(
      "DequantizeLinear",
      [compact(.int4, [3], [-8, 0, 7]), floats([3], [1, 2, 3]), compact(.int4, [3], [1, 1, 1])],
      ["axis": .int(0)], gives: floats([3], [-9, -2, 18]), opset: 21),
    OperatorCase(
      "DequantizeLinear", [compact(.float8e5m2, [2], [-1.5, 3]), floats([], [2])],
      gives: floats([2], [-3, 6]), opset: 19),
    OperatorCase(
      "DynamicQuantizeLinear", [floats([3], [-1, 0, 4.1])],
      gives: .uint8(Tensor([3], [0, 50, 255])), floats([], [0.02]), .uint8(Tensor([], [50]))),
    OperatorCase(
      "DynamicQuantizeLinear", [floats([2], [0, 0])],
      gives: .uint8(Tensor([2], [0, 0])), floats([], [1]), .uint8(Tensor([], [0]))),
    OperatorCase(
      "DynamicQuantizeLinear", [floats([0], [])],
      gives: .uint8(Tensor([0], [])), floats([], [1]), .uint8(Tensor([], [0]))),
    OperatorCase(
      "MatMulInteger",
      [
        .uint8(Tensor([2, 3], [1, 2, 3, 255, 0, 7])), .int8(Tensor([3, 1], [1, -128, 5])),
        .uint8(Tensor([2], [1, 5])), .int8(Tensor([1], [-1])),
      ], gives: .int32(Tensor([2, 1], [-115, 1147]))),
    OperatorCase(
      "MatMulInteger",
      [
        .int8(Tensor([2, 1, 2], [1, 2, 3, 4])), .uint8(Tensor([2, 2], [1, 2, 3, 4])), nil,
        .uint8(Tensor([2], [1, 0])),
      ], gives: .int32(Tensor([2, 1, 2], [4, 10, 8, 22]))),
    OperatorCase(
      "QLinearMatMul",
      [
        .uint8(Tensor([2, 2], [1, 2, 3, 4])), floats([2], [1, 2]), .uint8(Tensor([], [0])),
        .uint8(Tensor([2, 2], [1, 2, 3, 4])), floats([2], [0.5, 1]), .uint8(Tensor([2], [0, 0])),
        floats([], [2]), .uint8(Tensor([], [10])),
      ], gives: .uint8(Tensor([2, 2], [12, 15, 18, 32]))),
    // Vectors, and a scale per column of each matrix of a stack.
    OperatorCase(
      "QLinearMatMul",
      [
        .uint8(Tensor([2], [1, 2])), floats([], [1]), .uint8(Tensor([], [0])),
        .uint8(Tensor([2, 2, 1], [1, 2, 3, 4])), floats([2, 1, 1], [1, 2]),
        .uint8(Tensor([2, 1, 1], [0, 1])), floats([], [1]), .uint8(Tensor([], [0])),
      ], gives: .uint8(Tensor([2, 1], [5, 16]))),
    OperatorCase(
      "QLinearMatMul",
      [
        .int8(Tensor([2, 2], [1, 2, 3, 4])), floats([2], [1, 2]), .int8(Tensor([2], [0, 1])),
        .int8(Tensor([2], [1, -1])), floats([1], [1]), .int8(Tensor([1], [0])), floats([], [1]),
        .int8(Tensor([], [0])),
      ], gives: .int8(Tensor([2], [-1, -2]))),
    OperatorCase(
      "Cast", [floats([3], [1e6, 1.000_4, -3])], ["to": .int(10)],
      gives: floats([3], [.infinity, 1, -3])),
    OperatorCase(
      "Cast", [floats([2], [1.003, -1e-3])], ["to": .int(16)],
      gives: floats([2], [1, -0.000_999_450_7])),
    OperatorCase(
      "Cast", [floats([3], [-9, 7.9, 12])], ["to": .int(22)],
      gives: compact(.int4, [3], [7, 7, -4])),
    OperatorCase(
      "Transpose", [compact(.uint4, [2, 2], [1, 2, 3, 4])],
      gives: compact(.uint4, [2, 2], [1, 3, 2, 4])),
  ]

  @Test(arguments: cases)
  func givesTheResult(test: OperatorCase) throws { try test.check() }

  private static let refusals: [Refusal] = [
    Refusal("QuantizeLinear", [x, floats([3], [1, 1, 1])], ["axis": .int(0)]),
    Refusal("QuantizeLinear", [x, floats([2, 3], [1, 1, 1, 1, 1, 1])], ["block_size": .int(2)]),
    Refusal("QuantizeLinear", [x, floats([], [1])], ["output_dtype": .int(7)]),
    Refusal(
      "QuantizeLinear", [x, floats([], [1]), .int8(Tensor([], [0]))], ["output_dtype": .int(22)]),
    Refusal("DequantizeLinear", [x, floats([], [1])]),
    Refusal("MatMulInteger", [.uint8(Tensor([1, 2], [1, 2])), .uint8(Tensor([1, 2], [1, 2]))]),
    Refusal(
      "MatMulInteger",
      [
        .uint8(Tensor([2, 2], [1, 2, 3, 4])), .uint8(Tensor([2, 2], [1, 2, 3, 4])),
        .uint8(Tensor([3], [1, 2, 3])),
      ]),
    Refusal(
      "MatMulInteger",
      [
        .uint8(Tensor([1, 2], [1, 2])), .uint8(Tensor([2], [3, 4])), nil,
        .uint8(Tensor([2], [1, 2])),
      ]),
    // A zero point per column of the left side would be one per term of a sum.
    Refusal(
      "MatMulInteger",
      [
        .uint8(Tensor([1, 2], [1, 2])), .uint8(Tensor([2, 1], [3, 4])),
        .uint8(Tensor([1, 2], [1, 2])),
      ]),
    Refusal("Add", [compact(.int4, [1], [1]), compact(.int4, [1], [1])]),
    Refusal("Relu", [compact(.float8e5m2, [1], [1])]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }
}
