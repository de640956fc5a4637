// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Convolutions of 8-bit integers against sums over plain loops.
struct IntegerConvolutionTests {
  private static func bytes(_ shape: Shape, _ seed: Int) -> Tensor<UInt8> {
    Tensor(shape, (0..<shape.count).map { UInt8(truncatingIfNeeded: ($0 + seed) * 97 + 13) })
  }

  private static func signed(_ shape: Shape, _ seed: Int) -> Tensor<Int8> {
    bytes(shape, seed).map { Int8(bitPattern: $0) }
  }

  /// Σ (x − zeroX)(w − zeroW) over a 3×3 window with one row and column of padding.
  private static func sums(
    _ x: Tensor<UInt8>, _ zeroX: Int, _ w: Tensor<Int8>, _ zeroW: [Int]
  ) -> [Int] {
    let (n, c, h, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    var result: [Int] = []
    for image in 0..<n {
      for out in 0..<w.shape[0] {
        for row in 0..<h {
          for column in 0..<width {
            var sum = 0
            for channel in 0..<c {
              for ky in 0..<3 where 0..<h ~= row + ky - 1 {
                for kx in 0..<3 where 0..<width ~= column + kx - 1 {
                  sum +=
                    (Int(x[image, channel, row + ky - 1, column + kx - 1]) - zeroX)
                    * (Int(w[out, channel, ky, kx]) - zeroW[out])
                }
              }
            }
            result.append(sum)
          }
        }
      }
    }
    return result
  }

  private let pads: [String: Attribute] = ["pads": .ints([1, 1, 1, 1])]
  private let x = bytes([2, 3, 5, 4], 0)
  private let w = signed([4, 3, 3, 3], 5)

  @Test(arguments: [1, 3])
  func convIntegerSumsExactly(threads: Int) throws {
    let zeros: [Int8] = [-3, 0, 7, 127]
    let y = try compute(
      "ConvInteger",
      [.uint8(x), .int8(w), .uint8(Tensor([], [131])), .int8(Tensor([4], zeros))], pads,
      threads: threads)[0]
    let expected = Self.sums(x, 131, w, zeros.map(Int.init)).map(Int32.init)
    #expect(y == .int32(Tensor([2, 4, 5, 4], expected)))
  }

  @Test func qLinearConvScalesRoundsAndSaturates() throws {
    let (xScale, yScale): (Float, Float) = (0.02, 3)
    let wScales: [Float] = [0.5, 0.25, 1, 2]
    let bias: [Int32] = [100, -7, 0, 31]
    let y = try compute(
      "QLinearConv",
      [
        .uint8(x), floats([], [xScale]), .uint8(Tensor([], [131])), .int8(w),
        floats([4], wScales), .int8(Tensor([1], [2])), floats([], [yScale]),
        .int8(Tensor([], [-5])), .int32(Tensor([4], bias)),
      ], pads)[0]
    let expected = Self.sums(x, 131, w, [2, 2, 2, 2]).enumerated().map { position, sum in
      let channel = position / 20 % 4
      let scaled =
        Float(sum + Int(bias[channel])) * (xScale * wScales[channel] / yScale)
      return Int8(max(-128, min(127, Int(scaled.rounded(.toNearestOrEven)) - 5)))
    }
    #expect(y == .int8(Tensor([2, 4, 5, 4], expected)))
    #expect(Set(expected).isSuperset(of: [-128, 127]))
  }

  private static let refusals: [Refusal] = [
    Refusal("ConvInteger", [count([1, 1, 3, 3]), .int8(signed([1, 1, 2, 2], 0))]),
    Refusal(
      "ConvInteger",
      [.uint8(bytes([1, 1, 3, 3], 0)), .int8(signed([1, 1, 2, 2], 0)), .int8(signed([], 0))]),
    Refusal(
      "ConvInteger",
      [
        .uint8(bytes([1, 1, 3, 3], 0)), .int8(signed([2, 1, 2, 2], 0)), nil, .int8(signed([3], 0)),
      ]),
    Refusal("QLinearConv", [.uint8(bytes([1, 1, 3, 3], 0)), floats([], [1])]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }
}
