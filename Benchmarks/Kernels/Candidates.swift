// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// A convolution of one image with stride 1, or, with windows of one pixel, a matrix product of
/// pixels × channels × columns.
struct ProductCase {
  let name: String
  let side, channels, columns, window: Int
  var isMatrix: Bool { window == 1 }
  var pixels: Int { side * side }
  var operations: Double { 2 * Double(pixels * channels * columns * window * window) }

  static let all = [
    ProductCase(name: "GEMM 1024³", side: 32, channels: 1024, columns: 1024, window: 1),
    ProductCase(name: "GEMM 256³", side: 16, channels: 256, columns: 256, window: 1),
    ProductCase(name: "3×3 64→64, 56²", side: 56, channels: 64, columns: 64, window: 3),
    ProductCase(name: "3×3 128→128, 28²", side: 28, channels: 128, columns: 128, window: 3),
    ProductCase(name: "3×3 512→512, 7²", side: 7, channels: 512, columns: 512, window: 3),
    ProductCase(name: "3×3 32→64, 16²", side: 16, channels: 32, columns: 64, window: 3),
    ProductCase(name: "3×3 3→32, 32²", side: 32, channels: 3, columns: 32, window: 3),
    ProductCase(name: "1×1 64→256, 56²", side: 56, channels: 64, columns: 256, window: 1),
  ]
}

protocol Candidate {
  var name: String { get }
  var shape: ProductCase { get }
  /// Operations per second of full tiles in the first-level cache; 0 where it is not known.
  var operands: ProductKernel.Operands? { get }
  func run()
}

/// One of our product kernels, as a session would call it.
struct ProductCandidate: Candidate {
  let shape: ProductCase
  private let product: Product
  private let input, output: AlignedMemory

  var name: String { product.kernel.name }
  var operands: ProductKernel.Operands? { product.kernel.operands }

  init(_ kernel: ProductKernel, _ shape: ProductCase) {
    self.shape = shape
    let size = 4 / kernel.elementsPerWord
    let padded = shape.side + shape.window - 1
    // As sessions do: no steps of a multiple of 2 KiB, which meet in the same lines of the cache.
    func step(_ bytes: Int) -> Int { bytes % 2048 == 0 ? bytes + 64 : bytes }
    let (from, to) = (step(size * shape.channels), step(4 * shape.columns))
    let isDense = from == size * shape.channels
    let segment = isDense ? shape.window * shape.channels : shape.channels
    let inner = isDense ? 1 : shape.window
    let words = (segment + kernel.elementsPerWord - 1) / kernel.elementsPerWord
    let segments = shape.window * inner
    let depth = shape.window * shape.window * shape.channels
    var offsets = [Int32](repeating: -1, count: segments * words * kernel.elementsPerWord)
    for s in 0..<segments {
      for e in 0..<segment {
        offsets[s * words * kernel.elementsPerWord + e] = Int32(s * segment + e)
      }
    }
    var generator = RandomGenerator(seed: 1)
    let floats = Tensor<Float>([shape.columns * depth], normalUsing: &generator).elements
    let packed: AlignedMemory
    if kernel.operands == .integer {
      packed = Self.pack(floats.map { Int8(max(-127, min(127, 40 * $0))) }, kernel, shape, offsets)
    } else {
      packed = Self.pack(floats, kernel, shape, offsets)
    }
    let columns = kernel.paddedColumns(shape.columns)
    // Ones, whatever the type: what is denormal would take longer.
    let bytes = padded * padded * from + 64
    input =
      switch kernel.operands {
      case .float: AlignedMemory([Float](repeating: 1, count: bytes / 4))
      case .bfloat: AlignedMemory([UInt16](repeating: 0x3f80, count: bytes / 2))
      case .integer: AlignedMemory([UInt8](repeating: 1, count: bytes))
      }
    output = AlignedMemory([UInt8](repeating: 0, count: shape.pixels * to + 64))
    product = Product(
      kernel,
      Product.Geometry(
        width: shape.side, height: shape.side,
        input: ImageSteps(pixel: from, row: padded * from, image: 0),
        output: ImageSteps(pixel: to, row: shape.side * to, image: 0),
        addend: ImageSteps(pixel: 0, row: 0, image: 0), outer: shape.window, inner: inner,
        words: words, outerStep: padded * from, innerStep: from),
      columns: shape.columns, weights: packed,
      Product.Ending(
        bias: AlignedMemory([Float](repeating: 0, count: columns)),
        scale: kernel.operands == .integer
          ? AlignedMemory([Float](repeating: 0.01, count: columns)) : nil, low: 0,
        high: kernel.operands == .integer ? 255 : .infinity,
        zeroPoint: kernel.operands == .integer ? 0 : nil), threads: 1)
  }

  private static func pack<Element>(
    _ weights: [Element], _ kernel: ProductKernel, _ shape: ProductCase, _ offsets: [Int32]
  ) -> AlignedMemory {
    unsafe weights.withUnsafeBytes {
      unsafe kernel.packed(
        $0.baseAddress!, columns: shape.columns, columnStep: weights.count / shape.columns,
        offsets: offsets)
    }
  }

  func run() {
    unsafe product.run(
      input.base, into: output.base, images: 1, items: 0..<product.items(images: 1))
  }
}

/// The same matrix product by the BLAS in use.
struct BLASCandidate: Candidate {
  let shape: ProductCase
  private let a, b: Tensor<Float>

  var name: String { "sgemm" }
  var operands: ProductKernel.Operands? { nil }

  init(_ shape: ProductCase) {
    self.shape = shape
    var generator = RandomGenerator(seed: 1)
    a = Tensor([shape.pixels, shape.channels], normalUsing: &generator)
    b = Tensor([shape.channels, shape.columns], normalUsing: &generator)
  }

  func run() { _ = matrixProduct(a, b) }
}
