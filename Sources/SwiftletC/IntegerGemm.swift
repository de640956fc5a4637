// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletCore
import SwiftletKernels

@c @implementation
public func swiftlet_gemm_u8s8s32(
  _ m: Int64, _ n: Int64, _ k: Int64, _ a: UnsafePointer<UInt8>?, _ lda: Int64,
  _ b: UnsafePointer<Int8>?, _ ldb: Int64, _ c: UnsafeMutablePointer<Int32>?, _ ldc: Int64,
  _ threads: Int32
) -> swiftlet_status {
  call {
    let (m, n, k) = try (
      Arguments.extent(m, "m"), Arguments.extent(n, "n"),
      Arguments.extent(k, "k", in: 0...ByteProduct.depthLimit)
    )
    let a = try unsafe Matrix(a, "a", rows: m, columns: k, leading: lda)
    let b = try unsafe Matrix(b, "b", rows: k, columns: n, leading: ldb)
    let c = try unsafe Matrix(c, "c", rows: m, columns: n, leading: ldc)
    try c.requireApart(from: a)
    try c.requireApart(from: b)
    let threads = try Arguments.threads(threads)
    guard c.count > 0 else { return }
    guard b.leading <= ByteProduct.leadingLimit else {
      throw SwiftletError(.unsupported, "the leading dimension of b is \(b.leading)")
    }
    let product = ByteProduct(a, b, c)
    try MemoryLimit.require(
      product.byteCount(threads: threads.count), of: UInt8.self,
      for: "a product of \(m)×\(k) and \(k)×\(n) bytes")
    product.run(threads)
  }
}

/// C = A · B of bytes, exact in int32.
///
/// The kernels of integer layers finish in fp32, which holds integers up to 2²⁴ exactly. The depth
/// is therefore divided into blocks whose sums cannot exceed that, and the blocks are summed in
/// int32.
private struct ByteProduct: Sendable {
  /// The maximum number of products whose sum fits int32: 2³¹ / (255 · 128).
  static let depthLimit: Int64 = 65793
  /// 255 · 128 · 512 < 2²⁴.
  private static let block = 512
  /// Offsets in a block of B are 32-bit numbers.
  static let leadingLimit = Int(Int32.max) / block
  /// The number of rows whose sums stay in the cache between product and addition.
  private static let rowsAtOnce = 64

  private let a: Matrix<UInt8>
  private let b: Matrix<Int8>
  private let c: Matrix<Int32>
  private let kernel = ProductKernel.integer

  init(_ a: Matrix<UInt8>, _ b: Matrix<Int8>, _ c: Matrix<Int32>) {
    (self.a, self.b, self.c) = (a, b, c)
  }

  /// The memory that ``run(_:)`` needs, in bytes: a block of B, biases and scales, and for each
  /// thread sums and lines.
  func byteCount(threads: Int) -> Double {
    let columns = Double(kernel.paddedColumns(c.columns))
    let own = 4 * columns + Double(Self.block)
    return columns * Double(Self.block + 24) + Double(threads * min(Self.rowsAtOnce, c.rows)) * own
  }

  func run(_ threads: Threads) {
    threads.forEachRange(c.rows, minimumLength: 1) { rows in clear(rows) }
    let padded = kernel.paddedColumns(b.columns)
    let bias = AlignedMemory([Int32](repeating: 0, count: padded))
    let scale = AlignedMemory([Float](repeating: 1, count: padded))
    for start in stride(from: 0, to: a.columns, by: Self.block) {
      let depth = start..<min(start + Self.block, a.columns)
      let weights = packed(depth)
      threads.forEachRange(c.rows, minimumLength: 1 + (1 << 16) / (depth.count * b.columns)) { rows in
        add(
          depth, rows, weights,
          Product.Ending(bias: bias, scale: scale, low: -.infinity, high: .infinity))
      }
    }
  }

  private func clear(_ rows: Range<Int>) {
    for row in rows {
      unsafe (c.start + row * c.leading).update(repeating: 0, count: c.columns)
    }
  }

  private func packed(_ depth: Range<Int>) -> AlignedMemory {
    let offsets = (0..<depth.count.roundedUp(to: 4)).map { element in
      element < depth.count ? Int32(element * b.leading) : -1
    }
    return unsafe kernel.packed(
      b.start + depth.lowerBound * b.leading, columns: b.columns, columnStep: 1, offsets: offsets)
  }

  /// Adds the products of some columns of A to some rows of C.
  private func add(
    _ depth: Range<Int>, _ rows: Range<Int>, _ weights: AlignedMemory, _ ending: Product.Ending
  ) {
    let width = depth.count.roundedUp(to: 4)
    // The kernel reads whole words: partial words are copied.
    let copies = width != depth.count
    let tile = min(Self.rowsAtOnce, rows.count)
    let buffer = copies ? AlignedMemory(byteCount: tile * width) : nil
    let sums = AlignedMemory(byteCount: 4 * tile * c.columns)
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: tile) {
      let count = min(tile, rows.upperBound - first)
      let lines = unsafe UnsafeRawPointer(a.start + first * a.leading + depth.lowerBound)
      if let buffer {
        unsafe buffer.base.initializeMemory(as: UInt8.self, repeating: 0, count: tile * width)
        for row in 0..<count {
          unsafe (buffer.base + row * width).copyMemory(
            from: lines + row * a.leading, byteCount: depth.count)
        }
      }
      let step = copies ? width : a.leading
      let steps = ImageSteps(pixel: step, row: step * count, image: step * count)
      let result = ImageSteps(
        pixel: 4 * c.columns, row: 4 * c.columns * count, image: 4 * c.columns * count)
      let product = Product(
        kernel,
        Product.Geometry(
          width: count, height: 1, input: steps, output: result, addend: result, outer: 1, inner: 1,
          words: width / 4, outerStep: 0, innerStep: 0),
        columns: c.columns, weights: weights, ending, threads: 1)
      unsafe product.run(
        buffer.map { unsafe UnsafeRawPointer($0.base) } ?? lines, into: sums.base, images: 1,
        items: 0..<product.items(images: 1))
      accumulate(sums, first, count)
    }
  }

  private func accumulate(_ sums: AlignedMemory, _ first: Int, _ count: Int) {
    for row in 0..<count {
      let from = unsafe sums.base.assumingMemoryBound(to: Float.self) + row * c.columns
      let to = unsafe c.start + (first + row) * c.leading
      for column in 0..<c.columns {
        unsafe to[column] &+= Int32(unsafe from[column])
      }
    }
  }
}
