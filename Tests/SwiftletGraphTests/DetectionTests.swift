// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Operators of detectors and of sampled images.
struct DetectionTests {
  private static let boxes = floats(
    [1, 4, 4], [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 5, 1, 6, 1, 1.05, 0, 0.05])
  private static let scores = floats([1, 1, 4], [0.9, 0.8, 0.7, 0.9])
  private static let image = floats([1, 1, 2, 3], [1, 2, 3, 4, 5, 6])

  private static let cases: [OperatorCase] = [
    OperatorCase(
      "NonMaxSuppression", [boxes, scores, list(9), floats([1], [0.5])],
      gives: ints([2, 3], [0, 0, 0, 0, 0, 2])),
    OperatorCase(
      "NonMaxSuppression", [boxes, scores, list(9), floats([1], [0.5]), floats([1], [0.75])],
      gives: ints([1, 3], [0, 0, 0])),
    OperatorCase(
      "NonMaxSuppression", [boxes, scores, list(1), floats([1], [1])],
      gives: ints([1, 3], [0, 0, 0])),
    OperatorCase("NonMaxSuppression", [boxes, scores], gives: ints([0, 3], [])),
    OperatorCase(
      "NonMaxSuppression",
      [
        floats([1, 2, 4], [0.5, 0.5, 1, 1, 3, 3, 1, 1]), floats([1, 1, 2], [.nan, 0.5]),
        list(2), floats([], [0]),
      ], ["center_point_box": .int(1)], gives: ints([2, 3], [0, 0, 1, 0, 0, 0])),
    OperatorCase(
      "MaxUnpool", [floats([1, 1, 1, 2], [7, -2]), ints([1, 1, 1, 2], [1, 6])],
      ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])],
      gives: floats([1, 1, 2, 4], [0, 7, 0, 0, 0, 0, -2, 0])),
    OperatorCase(
      "MaxUnpool",
      [floats([1, 1, 1, 2], [7, 8]), ints([1, 1, 1, 2], [1, 9]), ints([4], [1, 1, 2, 5])],
      ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])],
      gives: floats([1, 1, 2, 5], [0, 7, 0, 0, 0, 0, 0, 0, 0, 8])),
    OperatorCase(
      "MaxRoiPool", [image, floats([2, 5], [0, 0, 0, 2, 1, 0, 1, 0, 9, 0])],
      ["pooled_shape": .ints([1, 2])], gives: floats([2, 1, 1, 2], [5, 6, 3, 0])),
    OperatorCase(
      "GridSample", [image, floats([1, 1, 3, 2], [-1, -1, 0, 0, 1, 1])],
      ["align_corners": .int(1)], gives: floats([1, 1, 1, 3], [1, 3.5, 6]), opset: 20),
    OperatorCase(
      "GridSample", [image, floats([1, 1, 2, 2], [5, 0, .nan, 0])],
      gives: floats([1, 1, 1, 2], [0, 0]), opset: 20),
    OperatorCase(
      "GridSample", [image, floats([1, 1, 2, 2], [5, 1, -1.01, -9])],
      ["padding_mode": .string("border"), "mode": .string("nearest")],
      gives: floats([1, 1, 1, 2], [6, 1]), opset: 20),
    OperatorCase(
      "GridSample", [floats([1, 1, 4], [1, 2, 3, 4]), floats([1, 2, 1], [1.5, -1.25])],
      ["padding_mode": .string("reflection")], gives: floats([1, 1, 2], [3.5, 1]), opset: 20),
    OperatorCase(
      "RoiAlign", [image, floats([1, 4], [0, 0, 2, 1]), list(0)],
      ["coordinate_transformation_mode": .string("output_half_pixel")],
      gives: floats([1, 1, 1, 1], [3.5]), opset: 16),
    OperatorCase(
      "RoiAlign", [image, floats([2, 4], [50, 50, 60, 60, 1, 1, 1, 1]), list(0, 0)],
      ["sampling_ratio": .int(1)], gives: floats([2, 1, 1, 1], [0, 3]), opset: 16),
    OperatorCase(
      "Unique", [ints([5], [3, 1, 3, 2, 1])],
      gives: ints([3], [1, 2, 3]), list(1, 3, 0), list(2, 0, 2, 1, 0), list(2, 1, 2)),
    OperatorCase(
      "Unique", [floats([4], [2, .infinity, 2, 0])], ["sorted": .int(0)],
      gives: floats([3], [2, .infinity, 0]), list(0, 1, 3), list(0, 1, 0, 2), list(2, 1, 1)),
    OperatorCase(
      "Unique", [ints([2, 3], [1, 0, 1, 2, 5, 2])], ["axis": .int(-1)],
      gives: ints([2, 2], [0, 1, 5, 2]), list(1, 0), list(1, 0, 1), list(1, 2)),
    OperatorCase(
      "Unique", [bools([3], [true, true, false])],
      gives: bools([2], [false, true]), list(2, 0), list(1, 1, 0), list(1, 2)),
    OperatorCase(
      "Unique", [floats([0], [])], gives: floats([0], []), list(), list(), list()),
    OperatorCase(
      "CenterCropPad", [ints([1, 4], [1, 2, 3, 4]), list(2, 1)], gives: ints([2, 1], [2, 0])),
    OperatorCase(
      "CenterCropPad", [ints([3, 2], [1, 2, 3, 4, 5, 6]), list(5)], ["axes": .ints([-1])],
      gives: ints([3, 5], [0, 1, 2, 0, 0, 0, 3, 4, 0, 0, 0, 5, 6, 0, 0])),
    OperatorCase(
      "Shrink", [floats([4], [-2, -1, 1, 3])], ["bias": .float(1), "lambd": .float(1.5)],
      gives: floats([4], [-1, 0, 0, 2])),
    OperatorCase(
      "Col2Im", [floats([1, 2, 3], [1, 2, 3, 4, 5, 6]), list(4), list(2)],
      gives: floats([1, 1, 4], [1, 6, 8, 6])),
    OperatorCase(
      "NegativeLogLikelihoodLoss",
      [floats([2, 3], [-1, -2, -3, -4, -5, -6]), list(2, 0), floats([3], [3, 1, 1])],
      gives: floats([], [3.75])),
    OperatorCase(
      "NegativeLogLikelihoodLoss", [floats([2, 2], [-1, -2, -3, -4]), list(7, 1)],
      ["ignore_index": .int(7), "reduction": .string("none")], gives: floats([2], [0, 4])),
    OperatorCase(
      "SoftmaxCrossEntropyLoss", [floats([1, 2, 1], [0, 0]), ints([1, 1], [1])],
      ["reduction": .string("sum")], gives: floats([], [0.693_147_2]),
      floats([1, 2, 1], [-0.693_147_2, -0.693_147_2])),
  ]

  @Test(arguments: cases)
  func givesTheResult(test: OperatorCase) throws { try test.check() }

  private static let refusals: [Refusal] = [
    Refusal("NonMaxSuppression", [boxes, floats([1, 1, 3], [1, 2, 3])]),
    Refusal("NonMaxSuppression", [boxes, scores, floats([1], [1])]),
    Refusal("GridSample", [image, floats([1, 1, 1, 3], [0, 0, 0])]),
    Refusal("GridSample", [floats([1, 1, 0, 3], []), floats([1, 1, 1, 2], [0, 0])]),
    Refusal("RoiAlign", [image, floats([1, 4], [0, 0, 1, 1]), list(1)]),
    Refusal("RoiAlign", [image, floats([1, 4], [0, 0, .nan, 1]), list(0)]),
    Refusal("RoiAlign", [image, floats([1, 4], [0, 0, 1e8, 1]), list(0)]),
    Refusal("CenterCropPad", [image, list(1)]),
    Refusal("CenterCropPad", [image, list(1, 1, .max, 1)]),
    Refusal("Col2Im", [floats([1, 2, 3], [1, 2, 3, 4, 5, 6]), list(5), list(2)]),
    Refusal("Col2Im", [floats([1, 2, 3], [1, 2, 3, 4, 5, 6]), list(4), list(.max)]),
    Refusal("NegativeLogLikelihoodLoss", [floats([1, 2], [0, 0]), list(2)]),
    Refusal("NegativeLogLikelihoodLoss", [floats([1, 2], [0, 0]), list(0, 0)]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }
}
