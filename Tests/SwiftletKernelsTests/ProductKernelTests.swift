// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Sizes m×n×k: all small ones around the widths of registers and tiles, and each axis in full.
let productSizes: [(m: Int, n: Int, k: Int)] = {
  let small = [1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 29, 32, 33, 65]
  let few = [1, 6, 16, 35, 67]
  var sizes = small.flatMap { k in small.flatMap { n in small.map { ($0, n, k) } } }
  for axis in 1...67 {
    for a in few {
      for b in few { sizes += [(axis, a, b), (a, axis, b), (a, b, axis)] }
    }
  }
  // Sums grow with the depth, and weights are packed once for all m.
  return sizes.sorted { ($0.2, $0.1, $0.0) < ($1.2, $1.1, $1.0) }
}()
let productLimit = 67
private let limit = productLimit
private let inputStep = 71

func productKernels(_ operands: ProductKernel.Operands) -> [String] {
  ProductKernel.supported.filter { $0.operands == operands }.map(\.name)
}

func productKernel(_ name: String) throws -> ProductKernel {
  try #require(ProductKernel.supported.first { $0.name == name })
}

extension ProductKernel {
  /// The weight, or the nearest one that the kernel is exact for.
  func exact(_ weight: Int8) -> Int8 {
    let range = Self.sevenBitWeights
    return needsSevenBitWeights ? min(max(weight, range.lowerBound), range.upperBound) : weight
  }
}

/// Cuts items into pieces, in an order that is not theirs.
func pieces(of count: Int, using generator: inout RandomGenerator) -> [Range<Int>] {
  var pieces: [Range<Int>] = []
  var start = 0
  while start < count {
    let end = min(count, start + 1 + generator.below(3))
    pieces.append(start..<end)
    start = end
  }
  return generator.permutation(of: pieces.count).map { pieces[$0] }
}

/// Sums of fp32 products against the definition in fp64: |error| ≤ (k+2) · 2⁻²³ · Σ|a·b|.
struct FloatProductTests {
  private static let clamps: [(low: Float, high: Float)] = [
    (-.infinity, .infinity), (0, .infinity), (-20, 30), (0, 6),
  ]

  private static func ending(
    _ kernel: ProductKernel, _ bias: some Collection<Float>, _ clamp: (low: Float, high: Float)
  ) -> Product.Ending {
    let padding = kernel.paddedColumns(bias.count) - bias.count
    return Product.Ending(
      bias: AlignedMemory(bias + [Float](repeating: 0, count: padding)), low: clamp.low,
      high: clamp.high)
  }

  /// How many results are wrong; what is no result must be the pattern, which takes its place.
  private static func wrong(
    _ bytes: inout [UInt8], _ index: Int, _ sum: Double, _ size: Double, terms: Int,
    _ clamp: (low: Float, high: Float)
  ) -> Int {
    let y = bytes.float(index)
    for i in 0..<4 { bytes[4 * index + i] = GuardedProduct.pattern }
    if sum.isNaN { return y.isNaN ? 0 : 1 }
    let expected = min(max(sum, Double(clamp.low)), Double(clamp.high))
    if Double(y) == expected { return 0 }
    return abs(Double(y) - expected) <= Double(terms + 2) * 0x1p-23 * size ? 0 : 1
  }

  @Test(arguments: productKernels(.float))
  func sizesAroundTiles(name: String) throws {
    let kernel = try productKernel(name)
    var numbers = Numbers(seed: 1)
    let a = numbers.floats(limit * inputStep)
    let b = numbers.floats(limit * limit)
    let (bias, added) = (numbers.floats(limit), numbers.floats(limit * (limit + 1)))
    let runner = GuardedProduct()
    var (sums, magnitudes) = ([Double](), [Double]())
    var depth = 0
    var packed: (n: Int, k: Int, memory: AlignedMemory)?
    sums = [Double](repeating: 0, count: limit * limit)
    magnitudes = sums
    for (index, size) in productSizes.enumerated() {
      while depth < size.k {
        for m in 0..<limit {
          for n in 0..<limit {
            let term = Double(a[m * inputStep + depth]) * Double(b[n * limit + depth])
            sums[m * limit + n] += term
            magnitudes[m * limit + n] += abs(term)
          }
        }
        depth += 1
      }
      let test = ProductCase(
        m: size.m, n: size.n, k: size.k, inputStep: inputStep, columnStep: limit)
      if packed.map({ $0.n != size.n || $0.k != size.k }) ?? true {
        let memory = unsafe b.withUnsafeBytes {
          unsafe kernel.packed(
            $0.baseAddress!, columns: size.n, columnStep: limit, offsets: test.offsets(kernel))
        }
        packed = (size.n, size.k, memory)
      }
      let clamp = Self.clamps[index % Self.clamps.count]
      let addend = index % 2 == 0 ? Array(added[..<test.addendCount]) : nil
      let product = test.product(
        kernel, packed!.memory, Self.ending(kernel, bias[..<size.n], clamp), size: 4,
        resultSize: 4)
      var bytes = runner.run(
        product, a[..<test.inputCount], slack: 0, addend: addend, byteCount: 4 * test.outputCount,
        images: 1, at: index % 3 == 0 ? .first : .last)
      var wrong = 0
      for m in 0..<size.m {
        for n in 0..<size.n {
          let extra = Double(bias[n]) + Double(addend?[m * (size.n + 1) + n] ?? 0)
          let extent = abs(Double(bias[n])) + abs(Double(addend?[m * (size.n + 1) + n] ?? 0))
          wrong += Self.wrong(
            &bytes, m * (size.n + 3) + n, sums[m * limit + n] + extra,
            magnitudes[m * limit + n] + extent, terms: size.k, clamp)
        }
      }
      #expect(wrong == 0 && bytes.allSatisfy { $0 == GuardedProduct.pattern }, "\(name): \(test)")
    }
  }

  /// Windows with strides, dilation and gaps, NaN and infinities, work cut in any way.
  @Test(arguments: productKernels(.float))
  func windows(name: String) throws {
    let kernel = try productKernel(name)
    var numbers = Numbers(seed: 2)
    let runner = GuardedProduct()
    for round in 0..<300 {
      let test = ProductCase(using: &numbers.generator)
      let special: [Float] = round % 3 == 0 ? [.nan, .infinity, -.infinity] : []
      let x = numbers.floats(test.inputCount, special: special)
      let (w, bias) = (numbers.floats(test.weightCount), numbers.floats(test.columns))
      let addend = round % 2 == 0 ? numbers.floats(test.addendCount) : nil
      let clamp = Self.clamps[round % Self.clamps.count]
      let packed = unsafe w.withUnsafeBytes {
        unsafe kernel.packed(
          $0.baseAddress!, columns: test.columns, columnStep: test.columnStep,
          offsets: test.offsets(kernel))
      }
      var results: [[UInt8]] = []
      for threads in [1, 3] {
        let product = test.product(
          kernel, packed, Self.ending(kernel, bias, clamp), size: 4, resultSize: 4,
          threads: threads)
        let items = product.items(images: test.images)
        for cuts in [[0..<items], pieces(of: items, using: &numbers.generator)] {
          results.append(
            runner.run(
              product, x, slack: 0, addend: addend, byteCount: 4 * test.outputCount,
              images: test.images, at: threads == 1 ? .first : .last, cuts: cuts))
        }
      }
      #expect(results.allSatisfy { $0 == results[0] }, "\(name), cut into pieces: \(test)")
      var bytes = results[0]
      var wrong = 0
      let (taps, places) = (test.taps, test.pixels(test.addend))
      for (pixel, start) in test.pixels(test.input).enumerated() {
        let out = test.pixels(test.output)[pixel]
        for n in 0..<test.columns {
          var (sum, size) = (Double(bias[n]), abs(Double(bias[n])))
          if let addend {
            sum += Double(addend[places[pixel] + n])
            size += abs(Double(addend[places[pixel] + n]))
          }
          for (k, tap) in taps.enumerated() {
            let term = Double(x[start + tap]) * Double(w[n * test.columnStep + k])
            sum += term
            size += abs(term)
          }
          wrong += Self.wrong(&bytes, out + n, sum, size, terms: taps.count, clamp)
        }
      }
      #expect(wrong == 0 && bytes.allSatisfy { $0 == GuardedProduct.pattern }, "\(name): \(test)")
    }
  }
}

/// Sums of u8 · s8 are exact, and what becomes of them is the same on all tiers, bit for bit.
struct IntegerProductTests {
  private static let extremes: (inputs: [UInt8], weights: [Int8]) = (
    [0, 1, 127, 128, 255], [-128, -127, -1, 0, 1, 127]
  )

  /// How sums end: scales that give ties, ordinary values and saturation.
  private struct End {
    let bias: [Int32]
    let scale: [Float]
    let low, high: Float
    let zeroPoint: Int32?

    init(_ columns: Int, toBytes: Bool, using generator: inout RandomGenerator) {
      bias = (0..<columns).map { _ in Int32(generator.below(2001)) - 1000 }
      let scales: [Float] = [0.5, 0.25, 0x1p-13, 0.000371, 0.0112, 1.7]
      scale = (0..<columns).map { _ in scales[generator.below(scales.count)] }
      let point = Float([0, 1, 3, 128, 255][generator.below(5)])
      if toBytes {
        zeroPoint = Int32(point)
        low = generator.below(3) == 0 ? 0 : -point
        high = generator.below(3) == 0 ? min(20, 255 - point) : 255 - point
      } else {
        zeroPoint = nil
        (low, high) = generator.below(2) == 0 ? (-.infinity, .infinity) : (0, 6)
      }
    }

    var size: Int { zeroPoint == nil ? 4 : 1 }

    func ending(_ kernel: ProductKernel) -> Product.Ending {
      let padding = kernel.paddedColumns(bias.count) - bias.count
      return Product.Ending(
        bias: AlignedMemory(bias + [Int32](repeating: 0, count: padding)),
        scale: AlignedMemory(scale + [Float](repeating: 0, count: padding)), low: low, high: high,
        zeroPoint: zeroPoint)
    }

    /// The definition.
    func store(_ sum: Int32, _ column: Int, in bytes: inout [UInt8], at index: Int) {
      let value = min(max(Float(sum + bias[column]) * scale[column], low), high)
      if let zeroPoint {
        bytes[index] = UInt8(Int32(value.rounded(.toNearestOrEven)) + zeroPoint)
      } else {
        bytes.setFloat(value, index)
      }
    }
  }

  private static func slack(_ length: Int) -> Int { (length + 3) / 4 * 4 - length }

  @Test(arguments: productKernels(.integer))
  func sizesAroundTiles(name: String) throws {
    let kernel = try productKernel(name)
    var generator = RandomGenerator(seed: 3)
    let (inputs, weights) = Self.extremes
    let a = (0..<limit * inputStep).map { _ in inputs[generator.below(inputs.count)] }
    let b = (0..<limit * limit).map { _ in
      kernel.exact(weights[generator.below(weights.count)])
    }
    let runner = GuardedProduct()
    var sums = [Int32](repeating: 0, count: limit * limit)
    var depth = 0
    var packed: (n: Int, k: Int, memory: AlignedMemory)?
    for (index, size) in productSizes.enumerated() {
      while depth < size.k {
        for m in 0..<limit {
          for n in 0..<limit {
            sums[m * limit + n] += Int32(a[m * inputStep + depth]) * Int32(b[n * limit + depth])
          }
        }
        depth += 1
      }
      let test = ProductCase(
        m: size.m, n: size.n, k: size.k, inputStep: inputStep, columnStep: limit)
      if packed.map({ $0.n != size.n || $0.k != size.k }) ?? true {
        let memory = unsafe b.withUnsafeBytes {
          unsafe kernel.packed(
            $0.baseAddress!, columns: size.n, columnStep: limit, offsets: test.offsets(kernel))
        }
        packed = (size.n, size.k, memory)
      }
      let end = End(size.n, toBytes: index % 2 == 0, using: &generator)
      let product = test.product(
        kernel, packed!.memory, end.ending(kernel), size: 1, resultSize: end.size)
      let bytes = runner.run(
        product, a[..<test.inputCount], slack: Self.slack(size.k),
        byteCount: end.size * test.outputCount, images: 1, at: index % 3 == 0 ? .first : .last)
      var expected = [UInt8](repeating: GuardedProduct.pattern, count: bytes.count)
      for m in 0..<size.m {
        for n in 0..<size.n {
          end.store(sums[m * limit + n], n, in: &expected, at: m * (size.n + 3) + n)
        }
      }
      #expect(bytes == expected, "\(name): \(test)")
    }
  }

  /// Windows with strides, dilation and gaps, work cut in any way.
  @Test(arguments: productKernels(.integer))
  func windows(name: String) throws {
    let kernel = try productKernel(name)
    var numbers = Numbers(seed: 4)
    let runner = GuardedProduct()
    for round in 0..<300 {
      let test = ProductCase(using: &numbers.generator)
      let x = numbers.bytes(test.inputCount)
      let w = numbers.bytes(test.weightCount).map {
        kernel.exact(Int8(truncatingIfNeeded: Int($0) - 128))
      }
      let end = End(test.columns, toBytes: round % 2 == 0, using: &numbers.generator)
      let packed = unsafe w.withUnsafeBytes {
        unsafe kernel.packed(
          $0.baseAddress!, columns: test.columns, columnStep: test.columnStep,
          offsets: test.offsets(kernel))
      }
      let taps = test.taps
      var expected = [UInt8](
        repeating: GuardedProduct.pattern, count: end.size * test.outputCount)
      for (start, out) in zip(test.pixels(test.input), test.pixels(test.output)) {
        for n in 0..<test.columns {
          var sum: Int32 = 0
          for (k, tap) in taps.enumerated() {
            sum += Int32(x[start + tap]) * Int32(w[n * test.columnStep + k])
          }
          end.store(sum, n, in: &expected, at: out + n)
        }
      }
      for threads in [1, 3] {
        let product = test.product(
          kernel, packed, end.ending(kernel), size: 1, resultSize: end.size, threads: threads)
        let items = product.items(images: test.images)
        for cuts in [[0..<items], pieces(of: items, using: &numbers.generator)] {
          let bytes = runner.run(
            product, x, slack: Self.slack(test.length), byteCount: expected.count,
            images: test.images, at: threads == 1 ? .first : .last, cuts: cuts)
          #expect(bytes == expected, "\(name), \(cuts.count) pieces: \(test)")
        }
      }
    }
  }

  /// The deepest sums that are lowered, of the largest products.
  @Test(
    arguments: productKernels(.integer),
    [(UInt8(255), Int8(-128)), (255, 127), (1, -128), (128, -127)])
  func deepSums(name: String, values: (x: UInt8, w: Int8)) throws {
    let kernel = try productKernel(name)
    let (depth, columns) = (1 << 15, 19)
    let test = ProductCase(m: 3, n: columns, k: depth, inputStep: depth, columnStep: depth)
    let x = [UInt8](repeating: values.x, count: test.inputCount)
    let weight = kernel.exact(values.w)
    let w = [Int8](repeating: weight, count: test.weightCount)
    let packed = unsafe w.withUnsafeBytes {
      unsafe kernel.packed(
        $0.baseAddress!, columns: columns, columnStep: depth, offsets: test.offsets(kernel))
    }
    let padded = kernel.paddedColumns(columns)
    // What remains is small, so that fp32 holds it exactly.
    let sum = Int32(depth) * Int32(values.x) * Int32(weight)
    let ending = Product.Ending(
      bias: AlignedMemory([Int32](repeating: 3 - sum, count: padded)),
      scale: AlignedMemory([Float](repeating: 1, count: padded)), low: -.infinity, high: .infinity)
    let product = test.product(kernel, packed, ending, size: 1, resultSize: 4)
    let bytes = GuardedProduct().run(
      product, x, slack: 0, byteCount: 4 * test.outputCount, images: 1, at: .last)
    for m in 0..<3 {
      for n in 0..<columns { #expect(bytes.float(m * (columns + 3) + n) == 3) }
    }
  }

  /// Results far beyond a byte are cut off, on both sides.
  @Test(arguments: productKernels(.integer), [Float(3e5), -3e5, .infinity, -.infinity])
  func saturates(name: String, scale: Float) throws {
    let kernel = try productKernel(name)
    let test = ProductCase(m: 15, n: 33, k: 9, inputStep: 9, columnStep: 9)
    let x = [UInt8](repeating: 255, count: test.inputCount)
    let w = [Int8](repeating: kernel.exact(127), count: test.weightCount)
    let packed = unsafe w.withUnsafeBytes {
      unsafe kernel.packed(
        $0.baseAddress!, columns: 33, columnStep: 9, offsets: test.offsets(kernel))
    }
    let padded = kernel.paddedColumns(33)
    let ending = Product.Ending(
      bias: AlignedMemory([Int32](repeating: 1, count: padded)),
      scale: AlignedMemory([Float](repeating: scale, count: padded)), low: -100, high: 150,
      zeroPoint: 101)
    let product = test.product(kernel, packed, ending, size: 1, resultSize: 1)
    let bytes = GuardedProduct().run(
      product, x, slack: Self.slack(9), byteCount: test.outputCount, images: 1, at: .last)
    for m in 0..<15 {
      for n in 0..<33 { #expect(bytes[m * 36 + n] == (scale > 0 ? 251 : 1)) }
    }
  }
}
