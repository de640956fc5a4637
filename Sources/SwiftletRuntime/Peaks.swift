// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// The peak performance of one core of this machine, measured on call.
public struct Peaks: Sendable, Codable {
  /// fp32 operations, in billions per second: multiply–adds count as two.
  public let float: Double
  /// Operations on bf16 with fp32 sums, in billions per second.
  public let bfloat: Double
  /// Operations on bytes with 32-bit sums, in billions per second.
  public let integer: Double
  /// Bytes read from memory, in billions per second.
  public let memory: Double

  /// The peak for the numbers that a layer multiplies, in billions of operations per second: the
  /// highest one if several layers are computed together.
  package func operations(of layer: LayerProfile) -> Double {
    let operands = layer.computations.compactMap(\.operands)
    if operands.contains(.integer) { return integer }
    return operands.contains(.bfloat) ? bfloat : float
  }

  /// Takes about a tenth of a second.
  public static func measure() -> Peaks {
    Peaks(
      float: products(.float), bfloat: products(.bfloat), integer: products(.sevenBitInteger),
      memory: reading())
  }

  private static let rounds = 9

  /// Full tiles whose operands stay in the L1 cache.
  private static func products(_ kernel: ProductKernel) -> Double {
    let (words, panel) = (128, 2 * kernel.lanes)
    let bias = AlignedMemory([Float](repeating: 0, count: panel))
    let scale = AlignedMemory([Float](repeating: 1, count: panel))
    let weights = AlignedMemory([Float](repeating: 0, count: words * panel))
    let input = AlignedMemory([Float](repeating: 0, count: words * kernel.rows + 16))
    let output = AlignedMemory(byteCount: 4 * panel * kernel.rows)
    let steps = ImageSteps(pixel: 4 * words, row: 0, image: 0)
    let results = ImageSteps(pixel: 4 * panel, row: 0, image: 0)
    let product = Product(
      kernel,
      Product.Geometry(
        width: kernel.rows, height: 1, input: steps, output: results, addend: results, outer: 1,
        inner: 1, words: words, outerStep: 0, innerStep: 0),
      columns: panel, weights: weights,
      Product.Ending(
        bias: bias, scale: kernel.operands == .integer ? scale : nil, low: -.infinity,
        high: .infinity), threads: 1)
    let count = 2000
    let seconds = best {
      for _ in 0..<count {
        unsafe product.run(input.base, into: output.base, images: 1, items: 0..<1)
      }
    }
    let macs = count * kernel.rows * panel * words * kernel.elementsPerWord
    return 2e-9 * Double(macs) / seconds
  }

  private static func reading() -> Double {
    let numbers = Tensor<Float>(zeros: [16 << 20])
    let seconds = best { precondition(Float.sum(numbers.span) == 0) }
    return 1e-9 * Double(4 * numbers.count) / seconds
  }

  private static func best(_ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    return (0..<rounds).map { _ in clock.measure(body) / .seconds(1) }.min()!
  }
}
