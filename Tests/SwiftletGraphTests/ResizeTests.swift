// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

struct ResizeTests {
  private static func resize(
    _ x: AnyTensor, scales: [Float]? = nil, sizes: [Int64]? = nil, region: [Float]? = nil,
    _ attributes: [String: Attribute] = [:], gives expected: AnyTensor
  ) -> OperatorCase {
    OperatorCase(
      "Resize",
      [
        x, region.map { floats([$0.count], $0) }, scales.map { floats([$0.count], $0) },
        sizes.map { ints([$0.count], $0) },
      ], attributes, gives: expected, opset: 19)
  }

  private static let row = floats([1, 4], [0, 10, 20, 30])
  private static func mode(_ mode: String, _ coordinates: String) -> [String: Attribute] {
    ["mode": .string(mode), "coordinate_transformation_mode": .string(coordinates)]
  }

  private static let cases: [OperatorCase] = [
    resize(
      ints([2, 2], [1, 2, 3, 4]), scales: [2, 2],
      gives: ints([4, 4], [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4])),
    resize(row, sizes: [1, 2], gives: floats([1, 2], [0, 20])),
    resize(
      row, sizes: [1, 2], ["nearest_mode": .string("ceil")], gives: floats([1, 2], [10, 30])),
    resize(
      row, sizes: [1, 2], ["nearest_mode": .string("round_prefer_ceil")],
      gives: floats([1, 2], [10, 30])),
    resize(
      row, scales: [1, 0.5], mode("linear", "half_pixel"), gives: floats([1, 2], [5, 25])),
    resize(
      row, sizes: [1, 3], mode("linear", "align_corners"), gives: floats([1, 3], [0, 15, 30])),
    resize(
      row, sizes: [1, 8], mode("linear", "asymmetric"),
      gives: floats([1, 8], [0, 5, 10, 15, 20, 25, 30, 30])),
    resize(
      row, sizes: [1, 1], mode("linear", "pytorch_half_pixel"), gives: floats([1, 1], [0])),
    // A cubic through points of a line, away from its ends, is the line.
    resize(
      floats([6], [0, 1, 2, 3, 4, 5]), sizes: [11], mode("cubic", "align_corners"),
      gives: floats([11], [0, 0.40625, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.59375, 5])),
    resize(
      row, sizes: [1, 3], region: [0, 0.5, 1, 1.5],
      mode("linear", "tf_crop_and_resize").merging(["extrapolation_value": .float(7)]) { $1 },
      gives: floats([1, 3], [15, 30, 7])),
    // Of a factor that gives no whole length, the length that there is counts: steps of 0.5 · 4 /
    // 4.
    OperatorCase(
      "Resize", [count([5]), floats([2], [0.25, 0.75]), floats([1], [1.1])],
      mode("linear", "tf_crop_and_resize"), gives: floats([5], [1, 1.5, 2, 2.5, 3])),
    // The mean of all that a position covers.
    resize(
      row, sizes: [1, 1], mode("linear", "half_pixel").merging(["antialias": .int(1)]) { $1 },
      gives: floats([1, 1], [15])),
    resize(
      floats([4, 2], [0, 1, 2, 3, 4, 5, 6, 7]), sizes: [6, 6],
      ["axes": .ints([1, 0]), "keep_aspect_ratio_policy": .string("not_larger")],
      gives: floats(
        [6, 3], [0, 0, 1, 0, 0, 1, 2, 2, 3, 4, 4, 5, 4, 4, 5, 6, 6, 7])),
    resize(
      .uint8(Tensor([2], [0, 255])), sizes: [4], mode("linear", "half_pixel"),
      gives: .uint8(Tensor([4], [0, 64, 191, 255]))),
    resize(floats([0, 3], []), sizes: [0, 6], gives: floats([0, 6], [])),
    OperatorCase(
      "Upsample", [floats([1, 2], [1, 2]), floats([2], [2, 2])],
      gives: floats([2, 4], [1, 1, 2, 2, 1, 1, 2, 2]), opset: 9),
    OperatorCase(
      "Resize", [row, floats([2], [1, 0.6])], gives: floats([1, 2], [0, 20]), opset: 10),
  ]

  @Test(arguments: cases)
  func givesTheResult(test: OperatorCase) throws { try test.check() }

  private static let refusals: [Refusal] = [
    Refusal("Resize", [row]),
    Refusal("Resize", [row, nil, floats([2], [1, 1]), list(1, 1)]),
    Refusal("Resize", [row, nil, floats([3], [1, 1, 1])]),
    Refusal("Resize", [row, nil, floats([2], [1, 0])]),
    Refusal("Resize", [row, nil, floats([2], [1, .nan])]),
    Refusal("Resize", [row, nil, floats([2], [1, 1e30])]),
    Refusal("Resize", [row, nil, nil, list(1, -1)]),
    Refusal("Resize", [row, nil, nil, list(.max, .max)]),
    Refusal("Resize", [row, nil, nil, list(1, 2)], mode("linear", "tf_crop_and_resize")),
    Refusal("Resize", [floats([0], []), nil, nil, list(2)]),
    Refusal("Resize", [bools([1], [true]), nil, nil, list(2)], mode("linear", "half_pixel")),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }

  /// Whatever the attributes, the weights of a position sum to one: what is constant stays so.
  @Test(arguments: ["linear", "cubic"], [0, 1])
  func constantsStayConstant(kind: String, exact: Int) throws {
    for coordinates in [
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
    ] {
      for size in [1, 2, 3, 7, 20] as [Int64] {
        let y = try compute(
          "Resize",
          [floats([7], [Float](repeating: 3, count: 7)), nil, nil, list(size)],
          Self.mode(kind, coordinates).merging([
            "antialias": .int(exact), "exclude_outside": .int(1 - exact),
          ]) { $1 }, opset: 19)[0]
        let values = try y.require(Float.self).elements
        #expect(values.allSatisfy { abs($0 - 3) < 1e-5 }, "\(coordinates) \(size): \(values)")
      }
    }
  }

  /// Places where rounding decides which element is the nearest, with what onnxruntime 1.32 takes.
  private struct Nearest: Sendable, CustomStringConvertible {
    let count: Int
    let scale: Float
    let coordinates, rounding: String
    let places: [Float]

    init(
      count: Int, scale: Float, _ coordinates: String, _ rounding: String, gives places: [Float]
    ) {
      (self.count, self.scale, self.places) = (count, scale, places)
      (self.coordinates, self.rounding) = (coordinates, rounding)
    }

    var description: String { "\(count)·\(scale) \(coordinates) \(rounding)" }
  }

  private static let nearest = [
    Nearest(
      count: 7, scale: 1.1, "half_pixel", "round_prefer_floor", gives: [0, 1, 2, 3, 4, 5, 6]),
    Nearest(
      count: 20, scale: 1.3, "half_pixel", "round_prefer_floor",
      gives: [
        0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 13, 14, 14, 15, 16, 17, 18, 18, 19,
      ]),
    Nearest(
      count: 20, scale: 0.3, "half_pixel", "round_prefer_ceil", gives: [1, 5, 8, 11, 15, 18]),
    Nearest(count: 3, scale: 1.1, "half_pixel", "floor", gives: [0, 1, 2]),
    Nearest(count: 7, scale: 1.4, "half_pixel", "ceil", gives: [0, 1, 2, 2, 3, 4, 5, 5, 6]),
    Nearest(
      count: 10, scale: 2.6, "tf_half_pixel_for_nn", "round_prefer_floor",
      gives: [
        0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9, 9, 9, 9,
      ]),
    Nearest(count: 7, scale: 1.4, "asymmetric", "ceil", gives: [0, 1, 2, 3, 3, 4, 5, 5, 6]),
    Nearest(
      count: 10, scale: 1.2, "asymmetric", "floor", gives: [0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]),
    Nearest(
      count: 5, scale: 2 / 3, "half_pixel_symmetric", "round_prefer_floor", gives: [0, 2, 3]),
    Nearest(count: 3, scale: 0.65, "half_pixel_symmetric", "floor", gives: [0]),
    Nearest(
      count: 7, scale: 0.7, "pytorch_half_pixel", "round_prefer_floor", gives: [0, 2, 3, 4]),
    Nearest(count: 10, scale: 0.3, "asymmetric", "floor", gives: [0, 3, 6]),
  ]

  @Test(arguments: nearest)
  private func nearestElements(test: Nearest) throws {
    let y = try compute(
      "Resize", [count([1, test.count]), nil, floats([2], [1, test.scale])],
      Self.mode("nearest", test.coordinates).merging([
        "nearest_mode": .string(test.rounding)
      ]) { $1 }, opset: 19)
    #expect(y == [floats([1, test.places.count], test.places)])
  }
}
