// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import SwiftletKernels

/// A 3×3 convolution with stride 1 in fp32 by Winograd's minimal filtering, where it is expected to
/// be faster than direct convolution.
///
/// Processes blocks of tiles: their coefficients, one matrix product per coefficient, and the
/// results, all of which stay in the cache. Rounding errors are larger than those of direct
/// convolution: about 1e-6 of the largest result with m = 2, and several times that with m = 4. A
/// non-finite value contaminates all tiles that contain it.
///
/// - Source: Lavin and Gray 2016.
struct WinogradInstruction {
  private let layer: ProductInstruction
  private let m: Int
  private let image, result: Value
  /// The results before pooling.
  private let results: Value
  private let tilesX, tilesY: Int
  private let addendSteps: ImageSteps

  /// Disabled by `SWIFTLET_WINOGRAD=0`.
  static let isAllowed =
    unsafe getenv("SWIFTLET_WINOGRAD").map { unsafe String(cString: $0) } != "0"

  /// Whether the layer is of the supported kind, regardless of its size.
  static func fits(_ window: Window, groups: Int, _ weights: Weights) -> Bool {
    guard case .float = weights, isAllowed else { return false }
    return groups == 1 && (window.height, window.width) == (3, 3)
      && (window.strideY, window.strideX) == (1, 1)
      && (window.dilationY, window.dilationX) == (1, 1)
  }

  /// The halo for tiles of four, which extend past the result if it ends inside one.
  static func halo(_ window: Window, _ image: Value, for result: Value) -> Value.Halo {
    let halo = window.halo(image, for: result)
    func rest(_ extent: Int) -> Int { extent.roundedUp(to: 4) - extent }
    return Value.Halo(
      top: halo.top, left: halo.left, bottom: halo.bottom + rest(result.height),
      right: halo.right + rest(result.width))
  }

  /// - Returns: `nil` if direct convolution is expected to be faster.
  init?(_ layer: ProductInstruction, _ values: [Value]) {
    guard Self.fits(layer.window, groups: layer.groups, layer.weights) else { return nil }
    let image = values[layer.input]
    guard image.kind == .float else { return nil }
    let (result, results) = (values[layer.ending.output], layer.ending.results(values))
    let costs = [0, 2, 4].map { Cost(m: $0, image, results).total }
    let best = costs.indices.min { costs[$0] < costs[$1] }!
    guard best > 0 else { return nil }
    (self.layer, m, self.image) = (layer, 2 * best, image)
    (self.result, self.results) = (result, results)
    addendSteps = layer.ending.addend.map { values[$0].steps } ?? result.steps
    (tilesX, tilesY) = ((results.width + m - 1) / m, (results.height + m - 1) / m)
  }

  /// Whether one of the tile sizes is expected to be faster than direct convolution in bf16.
  static func isFaster(
    _ window: Window, groups: Int, _ weights: Weights, _ image: Value, _ result: Value
  ) -> Bool {
    fits(window, groups: groups, weights)
      && [2, 4].contains { Cost(m: $0, image, result).total < Cost(m: 0, image, result).total / 2 }
  }

  /// The expected cost of a layer for one image, in units of one multiply–add of the kernels.
  ///
  /// Large sets of weights are read from memory, and they grow with the tile size; this, and the
  /// work on coefficients, is weighed against the saved products. The parameters are fitted to
  /// measurements rather than measured at run time, and the batch has no influence, so a model
  /// gives the same bits in every run and an image the same bits in every batch.
  private struct Cost {
    let total: Double

    init(m: Int, _ image: Value, _ result: Value) {
      let (inputs, outputs) = (Double(image.channels), Double(result.channels))
      let rows: Double
      let taps: Double
      let depth: Double
      var work = 0.0
      if m == 0 {
        (rows, taps, depth) = (Double(result.pixels), 9, 9 * inputs)
      } else {
        let tiles = ((result.width + m - 1) / m) * ((result.height + m - 1) / m)
        (rows, taps, depth) = (Double(tiles), Double((m + 2) * (m + 2)), inputs)
        // Whole vectors of channels.
        let (own, others) = (
          Double(image.channels.roundedUp(to: 16)), Double(result.channels.roundedUp(to: 16))
        )
        work = rows * (m == 2 ? 60 * own + 45 * others : 250 * own + 175 * others)
      }
      // Fewer than four rows do not saturate the multipliers.
      let products = max(rows, 4) * taps * inputs * outputs * (1 + 8 / depth)
      let bytes = 4 * taps * inputs * outputs
      let distance = bytes < 768e3 ? 0.1 : bytes < 16e6 ? 0.5 : 1.7
      total = products + work + bytes * distance
    }
  }

  func step(threads: Int) -> Step {
    guard case .float(let tensor) = layer.weights, case .float(let biases) = layer.ending.bias
    else {
      preconditionFailure("Winograd convolution of integers")
    }
    let (kernel, transform) = (ProductKernel.float, WinogradKernel.current)
    let coefficients = (m + 2) * (m + 2)
    let (channels, columns) = (image.channels, layer.columns)
    let blocking = Blocks(kernel, coefficients: coefficients, channels: channels, columns: columns)
    let input = WinogradKernel.Side(
      m: m, channels: channels, tilesX: tilesX, tilesY: tilesY, steps: image.steps,
      pitch: blocking.inputPitch, plane: blocking.tiles * blocking.inputPitch)
    let parts = columnParts(threads, kernel, blocking)
    let weights = layer.cache.packed("\(layer.key) winograd \(m) \(kernel.name)") {
      pack(tensor, kernel, coefficients)
    }
    let zeros = [Float](repeating: 0, count: kernel.paddedColumns(columns))
    let products = parts.map { part in
      let none = AlignedMemory(Array(zeros.prefix(kernel.paddedColumns(part.count))))
      return (0..<coefficients).map { coefficient in
        product(
          kernel, weights, coefficient, part, bias: none, input: blocking.inputPitch,
          output: blocking.outputPitch)
      }
    }
    let isPooled = layer.ending.isPooled
    let ending = WinogradKernel.Ending(
      isPooled: isPooled, width: result.width, height: result.height, bias: AlignedMemory(biases),
      addend: addendSteps, low: layer.ending.low,
      high: layer.ending.high)
    let (source, target, addend) = (layer.input, layer.ending.output, layer.ending.addend)
    let corner = layer.window.corner(image)
    let steps = result.steps
    let perImage = tilesX * tilesY
    let (m, tilesX, tilesY) = (m, tilesX, tilesY)
    let items: @Sendable (Int) -> Int = { parts.count * blocking.blocks($0 * perImage) }
    return Step(
      label: layer.label, kernel: "winograd \(m)x\(m) \(kernel.name)\(isPooled ? ", pool" : "")",
      macs: results.pixels * columns * channels * 9, scratch: blocking.byteCount,
      items: items
    ) { memory, images, items in
      let total = images * perImage
      let blocks = blocking.blocks(total)
      let analyzed = unsafe memory.scratch
      let summed = unsafe analyzed + coefficients * input.plane
      for item in items {
        let (part, block) = (item / blocks, item % blocks)
        let tiles = total * block / blocks..<total * (block + 1) / blocks
        unsafe transform.analyze(input, memory.start(source) - corner, into: analyzed, tiles: tiles)
        for (coefficient, product) in products[part].enumerated() {
          unsafe product.run(
            analyzed + coefficient * input.plane,
            into: summed + coefficient * blocking.tiles * blocking.outputPitch, images: tiles.count,
            items: 0..<product.items(images: tiles.count))
        }
        let output = WinogradKernel.Side(
          m: m, channels: parts[part].count, tilesX: tilesX, tilesY: tilesY, steps: steps,
          pitch: blocking.outputPitch, plane: blocking.tiles * blocking.outputPitch)
        unsafe transform.synthesize(
          output, ending, channelsFrom: parts[part].lowerBound, summed,
          addend: addend.map { unsafe UnsafeRawPointer(memory.start($0)) },
          into: memory.start(target), tiles: tiles)
      }
    }
  }

  /// Threads that share an image with few tiles each take some of the columns.
  private func columnParts(
    _ threads: Int, _ kernel: ProductKernel, _ blocking: Blocks
  ) -> [Range<Int>] {
    let panel = 2 * kernel.lanes
    let panels = (layer.columns + panel - 1) / panel
    let isShort = blocking.blocks(tilesX * tilesY) < 2 * threads
    let parts = threads > 1 && isShort ? min(threads, panels) : 1
    return (0..<parts).map {
      panels * $0 / parts * panel..<min(layer.columns, panels * ($0 + 1) / parts * panel)
    }
  }

  private func product(
    _ kernel: ProductKernel, _ weights: AlignedMemory, _ coefficient: Int, _ part: Range<Int>,
    bias: AlignedMemory, input: Int, output: Int
  ) -> Product {
    let rows = ImageSteps(pixel: 0, row: 0, image: input)
    let results = ImageSteps(pixel: 0, row: 0, image: output)
    return Product(
      kernel,
      Product.Geometry(
        width: 1, height: 1, input: rows, output: results, addend: results, outer: 1, inner: 1,
        words: image.channels, outerStep: 0, innerStep: 0),
      columns: part.count, weights: weights,
      from: 4 * image.channels
        * (coefficient * kernel.paddedColumns(layer.columns) + part.lowerBound),
      Product.Ending(bias: bias, low: -.infinity, high: .infinity), threads: 1)
  }

  private func pack(
    _ weights: Tensor<Float>, _ kernel: ProductKernel, _ coefficients: Int
  ) -> AlignedMemory {
    let (channels, columns) = (image.channels, layer.columns)
    let size = 4 * channels * kernel.paddedColumns(columns)
    let packed = AlignedMemory(byteCount: coefficients * size)
    let offsets = Array(0..<Int32(channels))
    let weights = weights.contiguous()
    // Panel by panel, so that few coefficients are duplicated.
    let panel = 2 * kernel.lanes
    layer.cache.threads.forEachRange((columns + panel - 1) / panel, minimumLength: 1) { panels in
      for start in panels {
        let own = start * panel..<min(columns, (start + 1) * panel)
        let matrices = WinogradKernel.current.coefficients(m: m, weights, columns: own)
        for coefficient in 0..<coefficients {
          unsafe kernel.pack(
            matrices.base + coefficient * 4 * channels * own.count, columns: own.count,
            columnStep: channels, offsets: offsets,
            into: packed.base + coefficient * size + 4 * channels * own.lowerBound)
        }
      }
    }
    return packed
  }

  /// The number of tiles processed at a time, and the positions of their coefficients.
  private struct Blocks: Sendable {
    let tiles, inputPitch, outputPitch, byteCount: Int

    /// The size of coefficients that fits the L2 cache, in bytes.
    private static let cachedBytes = 448 << 10

    init(_ kernel: ProductKernel, coefficients: Int, channels: Int, columns: Int) {
      // Avoids multiples of 4 KiB, which would map to the same cache lines.
      func pitch(_ count: Int) -> Int {
        let bytes = (4 * count).roundedUp(to: 64)
        return bytes % 4096 == 0 ? bytes + 64 : bytes
      }
      (inputPitch, outputPitch) = (pitch(channels), pitch(columns))
      let perTile = coefficients * (inputPitch + outputPitch)
      let fitting = Self.cachedBytes / perTile / kernel.rows
      tiles = kernel.rows * min(max(2, fitting), 8)
      byteCount = tiles * perTile
    }

    func blocks(_ total: Int) -> Int { (total + tiles - 1) / tiles }
  }
}
