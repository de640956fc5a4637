// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Pooled products are, bit for bit, the largest of 2×2 neighbouring results of the same product.
struct PooledProductTests {
  private static let names = ProductKernel.supported.map(\.name)

  @Test(arguments: names)
  func largestOfFour(name: String) throws {
    let kernel = try #require(ProductKernel.supported.first { $0.name == name })
    var numbers = Numbers(seed: 5)
    let runner = GuardedProduct()
    for round in 0..<200 {
      var test = ProductCase(using: &numbers.generator)
      // Rows and columns without a partner are left out.
      (test.width, test.height) = (max(2, test.width), max(2, test.height))
      test.input.row = max(test.input.row, test.width * test.input.pixel)
      test.input.image = max(test.input.image, test.height * test.input.row)
      test.output = Self.packed(test.columns, test.width, test.height, gap: round % 2)
      let toBytes = kernel.operands == .integer && round % 3 > 0
      let size = 4 / kernel.elementsPerWord
      let resultSize = toBytes ? 1 : 4
      let ending = Self.ending(kernel, test.columns, toBytes: toBytes, using: &numbers)
      let slack = (size * test.length + 3) / 4 * 4 - size * test.length
      let images = test.images
      let weights: AlignedMemory
      let run: (Product, Int) -> [UInt8]
      if kernel.operands == .integer {
        let x = numbers.bytes(test.inputCount)
        let w = numbers.bytes(test.weightCount).map { kernel.exact(Int8(bitPattern: $0)) }
        weights = Self.pack(w, kernel, test)
        run = { runner.run($0, x, slack: slack, byteCount: $1, images: images, at: .last) }
      } else {
        let (x, w) = (numbers.floats(test.inputCount), numbers.floats(test.weightCount))
        weights = Self.pack(w, kernel, test)
        if kernel.operands == .float {
          run = { runner.run($0, x, slack: slack, byteCount: $1, images: images, at: .last) }
        } else {
          let halves = x.map(\.bfloat)
          run = { runner.run($0, halves, slack: slack, byteCount: $1, images: images, at: .last) }
        }
      }
      let plain = run(
        test.product(kernel, weights, ending, size: size, resultSize: resultSize),
        resultSize * test.outputCount)
      var pooled = test
      (pooled.width, pooled.height, pooled.isPooled) = (test.width / 2, test.height / 2, true)
      pooled.output = Self.packed(test.columns, pooled.width, pooled.height, gap: 1)
      let count = resultSize * pooled.outputCount
      let result = run(
        pooled.product(
          kernel, weights, ending, size: size, resultSize: resultSize, threads: 1 + round % 3),
        count
      )
      var expected = [UInt8](repeating: GuardedProduct.pattern, count: count)
      for image in 0..<test.images {
        for (y, x) in (0..<pooled.height).flatMap({ y in (0..<pooled.width).map { (y, $0) } }) {
          for n in 0..<test.columns {
            let four = [(0, 0), (0, 1), (1, 0), (1, 1)].map { dy, dx in
              image * test.output.image + (2 * y + dy) * test.output.row
                + (2 * x + dx) * test.output.pixel + n
            }
            let place =
              image * pooled.output.image + y * pooled.output.row + x * pooled.output.pixel + n
            if toBytes {
              expected[place] = four.map { plain[$0] }.max()!
            } else {
              expected.setFloat(four.map { plain.float($0) }.max()!, place)
            }
          }
        }
      }
      #expect(result == expected, "\(name): \(pooled)")
    }
  }

  private static func packed(_ columns: Int, _ width: Int, _ height: Int, gap: Int) -> ImageSteps {
    let pixel = columns + gap
    let row = width * pixel + gap
    return ImageSteps(pixel: pixel, row: row, image: height * row)
  }

  private static func pack<Element>(
    _ weights: [Element], _ kernel: ProductKernel, _ test: ProductCase
  ) -> AlignedMemory {
    unsafe weights.withUnsafeBytes {
      unsafe kernel.packed(
        $0.baseAddress!, columns: test.columns, columnStep: test.columnStep,
        offsets: test.offsets(kernel))
    }
  }

  private static func ending(
    _ kernel: ProductKernel, _ columns: Int, toBytes: Bool, using numbers: inout Numbers
  ) -> Product.Ending {
    let padded = kernel.paddedColumns(columns)
    guard kernel.operands == .integer else {
      return Product.Ending(
        bias: AlignedMemory(numbers.floats(padded)), low: -20, high: 30)
    }
    let bias = (0..<padded).map { _ in Int32(numbers.generator.below(2001)) - 1000 }
    let scale = [Float](repeating: 0.0112, count: padded)
    return Product.Ending(
      bias: AlignedMemory(bias), scale: AlignedMemory(scale), low: toBytes ? -100 : -.infinity,
      high: toBytes ? 150 : .infinity, zeroPoint: toBytes ? 101 : nil)
  }
}
