// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Sums of bf16 products against the definition in fp64: |error| ≤ (k+2) · 2⁻²³ · Σ|a·b|, and then
/// rounding to bf16 where it is asked for.
struct BFloatProductTests {
  private static let clamps: [(low: Float, high: Float)] = [
    (-.infinity, .infinity), (0, .infinity), (-20, 30), (0, 6),
  ]

  /// How sums end.
  private struct End {
    let bias: [Float]
    let clamp: (low: Float, high: Float)
    let toBFloat: Bool
    let addend: [Float]?
    let addsBFloat: Bool

    init(_ test: ProductCase, _ round: Int, using numbers: inout Numbers) {
      bias = numbers.floats(test.columns)
      clamp = BFloatProductTests.clamps[round % BFloatProductTests.clamps.count]
      toBFloat = round % 2 == 0
      addsBFloat = round % 4 < 2
      // Numbers that bf16 holds.
      addend =
        round % 3 == 0
        ? nil : numbers.floats(test.addendCount).map { Float(bfloat: $0.bfloat) }
    }

    var size: Int { toBFloat ? 2 : 4 }

    func ending(_ kernel: ProductKernel) -> Product.Ending {
      let padding = kernel.paddedColumns(bias.count) - bias.count
      var ending = Product.Ending(
        bias: AlignedMemory(bias + [Float](repeating: 0, count: padding)), low: clamp.low,
        high: clamp.high)
      (ending.toBFloat, ending.addsBFloat) = (toBFloat, addsBFloat)
      return ending
    }

    /// Whether a result is wrong; the pattern takes its place.
    func isWrong(
      _ bytes: inout [UInt8], _ index: Int, _ sum: Double, _ size: Double, terms: Int
    ) -> Bool {
      let y = toBFloat ? bytes.bfloat(index) : bytes.float(index)
      for i in 0..<self.size { bytes[self.size * index + i] = GuardedProduct.pattern }
      if sum.isNaN { return !y.isNaN }
      let bound = sum.isFinite ? Double(terms + 2) * 0x1p-23 * size : 0
      func result(_ sum: Double) -> Float {
        let limited = Float(min(max(sum, Double(clamp.low)), Double(clamp.high)))
        return toBFloat ? Float(bfloat: limited.bfloat) : limited
      }
      return !(result(sum - bound)...result(sum + bound) ~= y)
    }
  }

  private func run(
    _ runner: GuardedProduct, _ product: Product, _ x: ArraySlice<UInt16>, _ test: ProductCase,
    _ end: End, side: GuardedPages.Side, cuts: [Range<Int>]? = nil
  ) -> [UInt8] {
    let halves = end.addsBFloat ? end.addend?.map(\.bfloat) : nil
    return runner.run(
      product, x, slack: test.length % 2 * 2, addend: end.addsBFloat ? nil : end.addend,
      halfAddend: halves, byteCount: end.size * test.outputCount, images: test.images, at: side,
      cuts: cuts)
  }

  private func product(
    _ kernel: ProductKernel, _ test: ProductCase, _ packed: AlignedMemory, _ end: End,
    threads: Int = 1
  ) -> Product {
    test.product(
      kernel, packed, end.ending(kernel), size: 2, resultSize: end.size,
      addendSize: end.addsBFloat ? 2 : 4, threads: threads)
  }

  private func packed(
    _ kernel: ProductKernel, _ weights: [Float], _ test: ProductCase
  ) -> AlignedMemory {
    unsafe weights.withUnsafeBytes {
      unsafe kernel.packed(
        $0.baseAddress!, columns: test.columns, columnStep: test.columnStep,
        offsets: test.offsets(kernel))
    }
  }

  @Test(arguments: productKernels(.bfloat))
  func sizesAroundTiles(name: String) throws {
    let kernel = try productKernel(name)
    var numbers = Numbers(seed: 31)
    let (limit, inputStep) = (productLimit, 71)
    let a = numbers.floats(limit * inputStep).map(\.bfloat)
    let b = numbers.floats(limit * limit)
    let (x, w) = (a.map { Double(Float(bfloat: $0)) }, b.map { Double(Float(bfloat: $0.bfloat)) })
    let runner = GuardedProduct()
    var sums = [Double](repeating: 0, count: limit * limit)
    var magnitudes = sums
    var depth = 0
    var weights: (n: Int, k: Int, memory: AlignedMemory)?
    for (index, size) in productSizes.enumerated() {
      while depth < size.k {
        for m in 0..<limit {
          for n in 0..<limit {
            let term = x[m * inputStep + depth] * w[n * limit + depth]
            sums[m * limit + n] += term
            magnitudes[m * limit + n] += abs(term)
          }
        }
        depth += 1
      }
      let test = ProductCase(
        m: size.m, n: size.n, k: size.k, inputStep: inputStep, columnStep: limit)
      if weights.map({ $0.n != size.n || $0.k != size.k }) ?? true {
        weights = (size.n, size.k, packed(kernel, b, test))
      }
      let end = End(test, index, using: &numbers)
      var bytes = run(
        runner, product(kernel, test, weights!.memory, end), a[..<test.inputCount], test, end,
        side: index % 3 == 0 ? .first : .last)
      var wrong = 0
      for m in 0..<size.m {
        for n in 0..<size.n {
          let others = [end.bias[n], end.addend?[m * (size.n + 1) + n] ?? 0].map(Double.init)
          let sum = sums[m * limit + n] + others[0] + others[1]
          let magnitude = magnitudes[m * limit + n] + abs(others[0]) + abs(others[1])
          if end.isWrong(&bytes, m * (size.n + 3) + n, sum, magnitude, terms: size.k) { wrong += 1 }
        }
      }
      #expect(wrong == 0 && bytes.allSatisfy { $0 == GuardedProduct.pattern }, "\(name): \(test)")
    }
  }

  /// Windows with strides, dilation and gaps, NaN and infinities, work cut in any way.
  @Test(arguments: productKernels(.bfloat))
  func windows(name: String) throws {
    let kernel = try productKernel(name)
    var numbers = Numbers(seed: 32)
    let runner = GuardedProduct()
    for round in 0..<300 {
      let test = ProductCase(using: &numbers.generator)
      // What follows an odd number of elements is multiplied by zero, and must be finite.
      let special: [Float] =
        round % 3 == 0 && test.length % 2 == 0 ? [.nan, .infinity, -.infinity] : []
      let x = numbers.floats(test.inputCount, special: special).map(\.bfloat)
      let w = numbers.floats(test.weightCount)
      let end = End(test, round, using: &numbers)
      let weights = packed(kernel, w, test)
      var results: [[UInt8]] = []
      for threads in [1, 3] {
        let product = product(kernel, test, weights, end, threads: threads)
        let items = product.items(images: test.images)
        for cuts in [[0..<items], pieces(of: items, using: &numbers.generator)] {
          results.append(
            run(
              runner, product, x[...], test, end, side: threads == 1 ? .first : .last, cuts: cuts))
        }
      }
      #expect(results.allSatisfy { $0 == results[0] }, "\(name), cut into pieces: \(test)")
      var bytes = results[0]
      var wrong = 0
      let (taps, places, outputs) = (
        test.taps, test.pixels(test.addend), test.pixels(test.output)
      )
      for (pixel, start) in test.pixels(test.input).enumerated() {
        for n in 0..<test.columns {
          let others = [end.bias[n], end.addend?[places[pixel] + n] ?? 0].map(Double.init)
          var (sum, size) = (others[0] + others[1], abs(others[0]) + abs(others[1]))
          for (k, tap) in taps.enumerated() {
            let factor = Float(bfloat: w[n * test.columnStep + k].bfloat)
            let term = Double(Float(bfloat: x[start + tap])) * Double(factor)
            sum += term
            size += abs(term)
          }
          if end.isWrong(&bytes, outputs[pixel] + n, sum, size, terms: taps.count) { wrong += 1 }
        }
      }
      #expect(wrong == 0 && bytes.allSatisfy { $0 == GuardedProduct.pattern }, "\(name): \(test)")
    }
  }

  /// Results are rounded alike, whatever they are: sums of nothing but a bias.
  @Test(arguments: productKernels(.bfloat))
  func rounding(name: String) throws {
    let kernel = try productKernel(name)
    let upper = stride(from: 0, through: 0xffff, by: 37).map { UInt32($0) << 16 }
    let numbers = upper.flatMap { upper in
      [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map { Float(bitPattern: upper | $0) }
    }
    let test = ProductCase(m: 1, n: numbers.count, k: 2, inputStep: 2, columnStep: 2)
    let weights = packed(kernel, [Float](repeating: 0, count: test.weightCount), test)
    let padding = kernel.paddedColumns(numbers.count) - numbers.count
    var ending = Product.Ending(
      bias: AlignedMemory(numbers + [Float](repeating: 0, count: padding)), low: -.infinity,
      high: .infinity)
    ending.toBFloat = true
    let product = test.product(kernel, weights, ending, size: 2, resultSize: 2)
    let bytes = GuardedProduct().run(
      product, [UInt16(0), 0], slack: 0, byteCount: 2 * test.outputCount, images: 1, at: .last)
    for (index, number) in numbers.enumerated() {
      let (y, expected) = (bytes.bfloat(index), Float(bfloat: number.bfloat))
      // The sum −0 + 0 is 0.
      #expect(same(y, expected), "\(name): \(number) became \(y)")
    }
  }
}
