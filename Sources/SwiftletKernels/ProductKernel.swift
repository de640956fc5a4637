// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels
package import SwiftletCore

/// The kernels that multiply channels-last images by packed weights, for one type and instruction
/// set. `@unchecked Sendable`: a pointer to a constant table.
@safe
package struct ProductKernel: @unchecked Sendable {
  package enum Operands: Sendable {
    /// fp32 by fp32, in fp32.
    case float
    /// bf16 by bf16, in fp32.
    case bfloat
    /// uint8 by int8, exact in int32.
    case integer
  }

  package let name: String
  package let operands: Operands
  package let isa: ISA
  /// Result columns computed side by side, rows of a tile, and pixels of a pooled tile.
  package let lanes, rows, pooledRows: Int
  /// Whether it is exact only for weights in ``sevenBitWeights``.
  package let needsSevenBitWeights: Bool
  fileprivate let table: UnsafePointer<swl_product_kernel>

  private init(_ table: UnsafePointer<swl_product_kernel>) {
    unsafe self.table = table
    let kernel = unsafe table.pointee
    unsafe name = String(cString: kernel.name)
    unsafe isa = ISA(kernel.isa)
    operands =
      switch unsafe kernel.type {
      case SWL_PRODUCT_F32: .float
      case SWL_PRODUCT_BF16: .bfloat
      default: .integer
      }
    unsafe (lanes, rows, pooledRows) = (kernel.lanes, kernel.rows, kernel.pooled)
    needsSevenBitWeights = unsafe kernel.type == SWL_PRODUCT_U8S7
  }

  /// All kernels this CPU can run, best first.
  package static let supported = unsafe (0..<swl_product_kernel_count())
    .map { unsafe swl_product_kernel_at($0)! }
    .filter { unsafe CPU.supports($0.pointee.isa, feature: $0.pointee.feature) }
    .map { unsafe ProductKernel($0) }

  /// The kernels in use.
  package static let float = current(.float)
  package static let bfloat = current(.bfloat)
  package static let integer = current(.integer)
  /// For integer weights in ``sevenBitWeights``: a faster kernel on CPUs without VNNI.
  package static let sevenBitInteger = current(.integer, hasSevenBitWeights: true)

  /// Two products of such a weight and a byte fit 16 bits.
  package static let sevenBitWeights: ClosedRange<Int8> = -64...64

  private static func current(
    _ operands: Operands, hasSevenBitWeights: Bool = false
  ) -> ProductKernel {
    let fitting = supported.filter {
      $0.operands == operands && (hasSevenBitWeights || !$0.needsSevenBitWeights)
    }
    return fitting.first { $0.isa <= ISA.current } ?? fitting.last!
  }

  /// The number of input and weight elements in one word.
  package var elementsPerWord: Int {
    switch operands {
    case .float: 1
    case .bfloat: 2
    case .integer: 4
    }
  }

  package func paddedColumns(_ columns: Int) -> Int {
    unsafe swl_product_padded_columns(table, columns)
  }

  /// The weights in the kernel's order.
  ///
  /// - Parameters:
  ///   - source: Weights of the kernel's type, or fp32 to be rounded to bf16; element e of column n
  ///     is at n · columnStep + offsets[e].
  ///   - offsets: A whole number of words; a negative offset stands for a zero.
  package func packed(
    _ source: UnsafeRawPointer, columns: Int, columnStep: Int, offsets: [Int32]
  ) -> AlignedMemory {
    let words = offsets.count / elementsPerWord
    let memory = AlignedMemory(byteCount: 4 * words * paddedColumns(columns))
    unsafe pack(
      source, columns: columns, columnStep: columnStep, offsets: offsets, into: memory.base)
    return memory
  }

  /// As ``packed(_:columns:columnStep:offsets:)``, into the caller's memory.
  package func pack(
    _ source: UnsafeRawPointer, columns: Int, columnStep: Int, offsets: [Int32],
    into target: UnsafeMutableRawPointer
  ) {
    let words = offsets.count / elementsPerWord
    unsafe swl_product_pack(table, words, columns, source, columnStep, offsets, target)
  }
}

/// Strides in bytes between consecutive pixels, rows and images.
package struct ImageSteps: Sendable, Equatable {
  package var pixel, row, image: Int

  package init(pixel: Int, row: Int, image: Int) {
    (self.pixel, self.row, self.image) = (pixel, row, image)
  }
}

/// A product of windows of channels-last images with packed weights, ready to run.
///
/// `@unchecked Sendable`: the memory it points to is its own and constant.
@safe
package struct Product: @unchecked Sendable {
  /// The layout of windows and results.
  package struct Geometry: Sendable {
    /// Results per image.
    package var width, height: Int
    /// Strides between the windows of consecutive results, between results, and between addends.
    package var input, output, addend: ImageSteps
    /// The depth of the sum: outer × inner segments of `words` words, and the bytes between them.
    package var outer, inner, words, outerStep, innerStep: Int
    /// Whether each result is the largest of 2×2 windows: width and height then count results, the
    /// input's steps are between windows, and there is no addend.
    package var isPooled: Bool

    package init(
      width: Int, height: Int, input: ImageSteps, output: ImageSteps, addend: ImageSteps,
      outer: Int, inner: Int, words: Int, outerStep: Int, innerStep: Int, isPooled: Bool = false
    ) {
      (self.width, self.height) = (width, height)
      (self.input, self.output, self.addend) = (input, output, addend)
      (self.outer, self.inner, self.words) = (outer, inner, words)
      (self.outerStep, self.innerStep, self.isPooled) = (outerStep, innerStep, isPooled)
    }
  }

  /// The final step for a sum s of column n: clamp(s + bias[n] + addend) for floats, clamp((s +
  /// bias[n]) · scale[n]) for integers, rounded to a byte if there is a zero point.
  package struct Ending: Sendable {
    package var bias: AlignedMemory
    package var scale: AlignedMemory?
    package var low, high: Float
    package var zeroPoint: Int32?
    /// Whether results and addends of bf16 products are bf16.
    package var toBFloat = false
    package var addsBFloat = false

    package init(
      bias: AlignedMemory, scale: AlignedMemory? = nil, low: Float, high: Float,
      zeroPoint: Int32? = nil
    ) {
      (self.bias, self.scale, self.low, self.high) = (bias, scale, low, high)
      self.zeroPoint = zeroPoint
    }
  }

  package let kernel: ProductKernel
  private let raw: swl_product
  private let weights: AlignedMemory?
  private let ending: Ending

  /// The size of weights that stay in the L2 cache while row tiles are processed.
  private static let cachedBytes = 384 << 10

  /// - Parameters:
  ///   - weights: Packed; `nil` if each run provides them.
  ///   - start: Offset in bytes of the weights of the first column.
  ///   - threads: The number of threads that share one image: with few row tiles the columns are
  ///     divided among them.
  package init(
    _ kernel: ProductKernel, _ geometry: Geometry, columns: Int, weights: AlignedMemory?,
    from start: Int = 0, _ ending: Ending, threads: Int
  ) {
    (self.kernel, self.weights, self.ending) = (kernel, weights, ending)
    let depth = geometry.outer * geometry.inner * geometry.words
    precondition(
      weights.map { $0.byteCount - start >= 4 * depth * kernel.paddedColumns(columns) } ?? true
        && ending.bias.byteCount == 4 * kernel.paddedColumns(columns)
        && (ending.scale?.byteCount ?? ending.bias.byteCount) == ending.bias.byteCount,
      "product of depth \(depth), \(columns) columns: weights, bias or scale do not fit")
    let panel = 2 * kernel.lanes
    let panels = (columns + panel - 1) / panel
    var block = max(1, Self.cachedBytes / (4 * depth * panel))
    let rows = geometry.isPooled ? kernel.pooledRows : kernel.rows
    let tiles = (geometry.width * geometry.height + rows - 1) / rows
    if threads > 1 && tiles < 8 * threads { block = min(block, (panels + threads - 1) / threads) }
    unsafe raw = swl_product(
      width: geometry.width, height: geometry.height, in_x: geometry.input.pixel,
      in_y: geometry.input.row, in_image: geometry.input.image, out_x: geometry.output.pixel,
      out_y: geometry.output.row, out_image: geometry.output.image,
      addend_x: geometry.addend.pixel, addend_y: geometry.addend.row,
      addend_image: geometry.addend.image, outer: geometry.outer, inner: geometry.inner,
      words: geometry.words, outer_step: geometry.outerStep, inner_step: geometry.innerStep,
      columns: columns, block: block,
      weights: weights.map { unsafe UnsafeRawPointer($0.base + start) }, bias: ending.bias.base,
      scale: ending.scale?.base.assumingMemoryBound(to: Float.self), low: ending.low,
      high: ending.high, zero_point: ending.zeroPoint ?? 0, to_bytes: ending.zeroPoint != nil,
      pooled: geometry.isPooled, to_bf16: ending.toBFloat, addend_bf16: ending.addsBFloat)
  }

  /// The number of independent pieces of work.
  package func items(images: Int) -> Int {
    unsafe withUnsafePointer(to: raw) { unsafe swl_product_items(kernel.table, $0, images) }
  }

  /// Computes some of the pieces.
  ///
  /// - Parameters:
  ///   - weights: Packed weights that replace the product's own.
  ///   - factors: In the form that ``setFactors(_:scale:zeroPoint:)`` writes.
  package func run(
    _ input: UnsafeRawPointer, weights: UnsafeRawPointer? = nil,
    factors: UnsafeMutableRawPointer? = nil, addend: UnsafeRawPointer? = nil,
    into output: UnsafeMutableRawPointer, images: Int, items: Range<Int>
  ) {
    var raw = unsafe raw
    if let weights = unsafe weights { unsafe raw.weights = weights }
    if let factors = unsafe factors {
      unsafe raw.bias = UnsafeRawPointer(factors)
      unsafe raw.scale = UnsafePointer(
        (factors + factorBytes / 2).assumingMemoryBound(to: Float.self))
    }
    unsafe withUnsafePointer(to: raw) {
      unsafe swl_product_run(
        kernel.table, $0, input, addend, output, images, items.lowerBound, items.upperBound)
    }
  }
  // MARK: Inputs whose scale is known when they are

  /// The size in bytes of the output of ``setFactors(_:scale:zeroPoint:)``.
  package var factorBytes: Int { 2 * ending.bias.byteCount }

  /// Computes the bias and scale of a run from the sums of weights and their scales, which were
  /// given as bias and scale when the product was created: Σ (q − z) · w = Σ q · w − z · Σ w.
  package func setFactors(
    _ target: UnsafeMutableRawPointer, scale: Float, zeroPoint: UInt8
  ) {
    let count = ending.bias.byteCount / 4
    let sums = unsafe ending.bias.base.assumingMemoryBound(to: Int32.self)
    let scales = unsafe ending.scale!.base.assumingMemoryBound(to: Float.self)
    let biases = unsafe target.assumingMemoryBound(to: Int32.self)
    let factors = unsafe (target + 4 * count).assumingMemoryBound(to: Float.self)
    for column in 0..<count {
      unsafe biases[column] = -Int32(zeroPoint) * sums[column]
      unsafe factors[column] = scale * scales[column]
    }
  }
}
