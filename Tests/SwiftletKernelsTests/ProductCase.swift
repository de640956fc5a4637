// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// What a product starts from and what its kernel makes of it, in elements of the operands.
struct ProductCase: CustomStringConvertible {
  var images = 1, height = 1
  var width, columns: Int
  /// Segments of the sum: rows of the window, pieces of a row, elements of a piece.
  var outer = 1, inner = 1
  var length: Int
  /// Elements between neighbouring windows, and between segments.
  var input, output, addend: ImageSteps
  var outerStep = 0, innerStep = 0
  /// Whether results are the largest of 2×2: width and height count those.
  var isPooled = false
  /// Elements between the weights of neighbouring columns.
  var columnStep: Int

  var description: String {
    "\(images)×\(height)×\(width)×\(columns), depth \(outer)×\(inner)×\(length), from \(input) "
      + "by \(outerStep), \(innerStep) to \(output)"
  }

  /// m×k times k×n, with gaps between the rows.
  init(m: Int, n: Int, k: Int, inputStep: Int, columnStep: Int) {
    (width, columns, length, self.columnStep) = (m, n, k, columnStep)
    func steps(_ pixel: Int) -> ImageSteps { ImageSteps(pixel: pixel, row: 0, image: 0) }
    (input, output, addend) = (steps(inputStep), steps(n + 3), steps(n + 1))
  }

  /// A convolution of images with gaps everywhere.
  init(using generator: inout RandomGenerator) {
    func pick(_ values: [Int]) -> Int { values[generator.below(values.count)] }
    let (kernelHeight, kernelWidth) = (pick([1, 2, 3, 5]), pick([1, 2, 3, 5]))
    let (stride, dilation) = (pick([1, 1, 2, 3]), pick([1, 1, 2]))
    let channels = 1 + generator.below(pick([5, 20, 70]))
    let (pixelGap, rowGap, imageGap) = (pick([0, 0, 3]), pick([0, 5]), pick([0, 7]))
    images = pick([1, 1, 2, 3])
    height = 1 + generator.below(5)
    width = 1 + generator.below(19)
    columns = 1 + generator.below(pick([9, 40, 100]))
    let merges = pixelGap == 0 && dilation == 1
    (outer, inner) = (kernelHeight, merges ? 1 : kernelWidth)
    length = merges ? kernelWidth * channels : channels
    columnStep = kernelHeight * kernelWidth * channels + pick([0, 2])
    let pixel = channels + pixelGap
    let row = ((width - 1) * stride + (kernelWidth - 1) * dilation + 1) * pixel + rowGap
    let image = ((height - 1) * stride + (kernelHeight - 1) * dilation + 1) * row + imageGap
    input = ImageSteps(pixel: stride * pixel, row: stride * row, image: image)
    (outerStep, innerStep) = (dilation * row, dilation * pixel)
    let (width, height, columns) = (width, height, columns)
    func steps(_ gap: Int) -> ImageSteps {
      let pixel = columns + gap
      let row = width * pixel + 2 * gap
      return ImageSteps(pixel: pixel, row: row, image: height * row + gap)
    }
    (output, addend) = (steps(pick([0, 4])), steps(pick([0, 1])))
  }

  var depth: Int { outer * inner * length }

  /// Offsets of all outputs, given how they lie.
  func pixels(_ steps: ImageSteps) -> [Int] {
    (0..<images).flatMap { image in
      (0..<height).flatMap { y in
        (0..<width).map { image * steps.image + y * steps.row + $0 * steps.pixel }
      }
    }
  }

  /// Offsets of the elements of one window.
  var taps: [Int] {
    (0..<outer).flatMap { o in
      (0..<inner).flatMap { i in (0..<length).map { o * outerStep + i * innerStep + $0 } }
    }
  }

  /// Elements up to the last one that is used.
  var inputCount: Int { pixels(input).max()! + taps.max()! + 1 }
  var outputCount: Int { pixels(output).max()! + columns }
  var addendCount: Int { pixels(addend).max()! + columns }
  var weightCount: Int { (columns - 1) * columnStep + depth }

  /// Offsets of the weights in the kernel's order, padded to whole words.
  func offsets(_ kernel: ProductKernel) -> [Int32] {
    let size = kernel.elementsPerWord
    let padded = (length + size - 1) / size * size
    return (0..<outer * inner).flatMap { segment in
      (0..<padded).map { $0 < length ? Int32(segment * length + $0) : -1 }
    }
  }

  /// - Parameters:
  ///   - size: Bytes of an element of the inputs.
  ///   - resultSize: Bytes of an element of the results.
  ///   - addendSize: Bytes of an element of the addends.
  func product(
    _ kernel: ProductKernel, _ weights: AlignedMemory, _ ending: Product.Ending, size: Int,
    resultSize: Int, addendSize: Int = 4, threads: Int = 1
  ) -> Product {
    func bytes(_ steps: ImageSteps, _ size: Int) -> ImageSteps {
      ImageSteps(pixel: size * steps.pixel, row: size * steps.row, image: size * steps.image)
    }
    let elements = kernel.elementsPerWord
    let geometry = Product.Geometry(
      width: width, height: height, input: bytes(input, size), output: bytes(output, resultSize),
      addend: bytes(addend, addendSize), outer: outer, inner: inner,
      words: (length + elements - 1) / elements, outerStep: size * outerStep,
      innerStep: size * innerStep, isPooled: isPooled)
    return Product(kernel, geometry, columns: columns, weights: weights, ending, threads: threads)
  }
}

/// Runs a product between guarded pages.
@safe
struct GuardedProduct {
  static let pattern: UInt8 = 0xA5
  private let inputs = GuardedPages(capacity: 1 << 22)
  private let addends = GuardedPages(capacity: 1 << 20)
  private let outputs = GuardedPages(capacity: 1 << 20)

  /// All bytes from the first result to the last; those that are no results keep the pattern.
  ///
  /// - Parameters:
  ///   - slack: Bytes behind the inputs that may be read.
  ///   - cuts: The pieces in which the work is done; all at once by default.
  func run<Element: BitwiseCopyable>(
    _ product: Product, _ input: some Collection<Element>, slack: Int, addend: [Float]? = nil,
    halfAddend: [UInt16]? = nil, byteCount: Int, images: Int, at side: GuardedPages.Side,
    cuts: [Range<Int>]? = nil
  ) -> [UInt8] {
    let source = unsafe inputs.place(input, slack: slack, at: side)
    let added =
      unsafe addend.map { unsafe UnsafeRawPointer(addends.place($0, at: side)) }
      ?? halfAddend.map { unsafe UnsafeRawPointer(addends.place($0, at: side)) }
    let target = unsafe outputs.place([UInt8](repeating: Self.pattern, count: byteCount), at: side)
    for items in cuts ?? [0..<product.items(images: images)] {
      unsafe product.run(source, addend: added, into: target, images: images, items: items)
    }
    return unsafe Array(UnsafeRawBufferPointer(start: target, count: byteCount))
  }
}

extension Array where Element == UInt8 {
  /// The fp32 number at a place.
  func float(_ index: Int) -> Float {
    var bits: UInt32 = 0
    for i in 0..<4 { bits |= UInt32(self[4 * index + i]) << UInt32(8 * i) }
    return Float(bitPattern: bits)
  }

  /// The bf16 number at a place, as fp32.
  func bfloat(_ index: Int) -> Float {
    Float(bfloat: UInt16(self[2 * index]) | UInt16(self[2 * index + 1]) << 8)
  }

  /// Stores an fp32 number at a place.
  mutating func setFloat(_ value: Float, _ index: Int) {
    for i in 0..<4 {
      self[4 * index + i] = UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * i))
    }
  }
}
