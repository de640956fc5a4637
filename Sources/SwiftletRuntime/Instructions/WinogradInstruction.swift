// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// A 3×3 convolution with stride 1 in fp32 by Winograd's minimal filtering; ``Selection`` decides
/// which layers use it.
///
/// Processes blocks of tiles: their coefficients, one matrix product per coefficient, and the
/// results, all of which stay in the cache. Rounding errors are larger than those of direct
/// convolution: about 1e-6 of the largest result with m = 2, and several times that with m = 4. A
/// non-finite value contaminates all tiles that contain it.
///
/// - Source: Lavin and Gray 2016.
struct WinogradInstruction: Instruction {
  let label: String
  /// The key of the packed weights in the cache.
  let key: String
  let input: Int
  let window: Window
  /// Results per tile along each axis: 2 or 4.
  let m: Int
  /// O×C×3×3.
  let weights: Tensor<Float>
  let bias: [Float]
  let ending: Ending
  let cache: PackedWeights

  var reads: [Int] { [input] + [ending.addend].compactMap { $0 } }
  var writes: Int? { ending.output }
  private var columns: Int { bias.count }

  /// The halo for tiles, which extend past the results if these end inside one.
  static func halo(_ window: Window, _ image: Value, for results: Value, m: Int) -> Value.Halo {
    let halo = window.halo(image, for: results)
    func rest(_ extent: Int) -> Int { extent.roundedUp(to: m) - extent }
    return Value.Halo(
      top: halo.top, left: halo.left, bottom: halo.bottom + rest(results.height),
      right: halo.right + rest(results.width))
  }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, result) = (values[input], values[ending.output])
    // Before pooling.
    let results = ending.results(values)
    let (tilesX, tilesY) = ((results.width + m - 1) / m, (results.height + m - 1) / m)
    let (kernel, transform) = (ProductKernel.float, WinogradKernel.current)
    let coefficients = (m + 2) * (m + 2)
    let (channels, columns) = (image.channels, columns)
    let blocking = Blocks(kernel, coefficients: coefficients, channels: channels, columns: columns)
    let tiled = WinogradKernel.Side(
      m: m, channels: channels, tilesX: tilesX, tilesY: tilesY, steps: image.steps,
      pitch: blocking.inputPitch, plane: blocking.tiles * blocking.inputPitch)
    let perImage = tilesX * tilesY
    let isShort = blocking.blocks(perImage) < 2 * threadsPerImage
    let parts = columnParts(isShort ? threadsPerImage : 1, kernel)
    let packed = cache.packed("\(key) winograd \(m) \(kernel.name)") { pack(kernel, coefficients) }
    let zeros = [Float](repeating: 0, count: kernel.paddedColumns(columns))
    let products = parts.map { part in
      let none = AlignedMemory(Array(zeros.prefix(kernel.paddedColumns(part.count))))
      return (0..<coefficients).map { coefficient in
        product(
          kernel, packed, channels, coefficient, part, bias: none, input: blocking.inputPitch,
          output: blocking.outputPitch)
      }
    }
    let final = WinogradKernel.Ending(
      isPooled: ending.isPooled, width: result.width, height: result.height,
      bias: AlignedMemory(bias), addend: ending.addend.map { values[$0].steps } ?? result.steps,
      low: ending.low, high: ending.high)
    let (source, target, addend) = (input, ending.output, ending.addend)
    let corner = window.corner(image)
    let (m, steps) = (m, result.steps)
    let items: @Sendable (Int) -> Int = { parts.count * blocking.blocks($0 * perImage) }
    return Step(
      label: label,
      computations: [
        Computation(.weighted(.winograd(m: m)), kernel.name, isPooled: ending.isPooled)
      ],
      macs: results.pixels * columns * channels * 9, scratch: blocking.byteCount,
      items: items
    ) { memory, images, items in
      let total = images * perImage
      let blocks = blocking.blocks(total)
      let analyzed = unsafe memory.scratch
      let summed = unsafe analyzed + coefficients * tiled.plane
      for item in items {
        let (part, block) = (item / blocks, item % blocks)
        let tiles = total * block / blocks..<total * (block + 1) / blocks
        unsafe transform.analyze(tiled, memory.start(source) - corner, into: analyzed, tiles: tiles)
        for (coefficient, product) in products[part].enumerated() {
          unsafe product.run(
            analyzed + coefficient * tiled.plane,
            into: summed + coefficient * blocking.tiles * blocking.outputPitch, images: tiles.count,
            items: 0..<product.items(images: tiles.count))
        }
        let output = WinogradKernel.Side(
          m: m, channels: parts[part].count, tilesX: tilesX, tilesY: tilesY, steps: steps,
          pitch: blocking.outputPitch, plane: blocking.tiles * blocking.outputPitch)
        unsafe transform.synthesize(
          output, final, channelsFrom: parts[part].lowerBound, summed,
          addend: addend.map { unsafe UnsafeRawPointer(memory.start($0)) },
          into: memory.start(target), tiles: tiles)
      }
    }
  }

  /// Threads that share an image with few tiles each take some of the columns.
  private func columnParts(_ threads: Int, _ kernel: ProductKernel) -> [Range<Int>] {
    let panel = 2 * kernel.lanes
    let panels = (columns + panel - 1) / panel
    let parts = min(threads, panels)
    return (0..<parts).map {
      panels * $0 / parts * panel..<min(columns, panels * ($0 + 1) / parts * panel)
    }
  }

  private func product(
    _ kernel: ProductKernel, _ packed: AlignedMemory, _ channels: Int, _ coefficient: Int,
    _ part: Range<Int>, bias: AlignedMemory, input: Int, output: Int
  ) -> Product {
    let rows = ImageSteps(pixel: 0, row: 0, image: input)
    let results = ImageSteps(pixel: 0, row: 0, image: output)
    return Product(
      kernel,
      Product.Geometry(
        width: 1, height: 1, input: rows, output: results, addend: results, outer: 1, inner: 1,
        words: channels, outerStep: 0, innerStep: 0),
      columns: part.count, weights: packed,
      from: 4 * channels * (coefficient * kernel.paddedColumns(columns) + part.lowerBound),
      Product.Ending(bias: bias, low: -.infinity, high: .infinity), threads: 1)
  }

  private func pack(_ kernel: ProductKernel, _ coefficients: Int) -> AlignedMemory {
    let channels = weights.shape[1]
    let size = 4 * channels * kernel.paddedColumns(columns)
    let packed = AlignedMemory(byteCount: coefficients * size)
    let offsets = Array(0..<Int32(channels))
    let weights = weights.contiguous()
    // Panel by panel, so that few coefficients are duplicated.
    let panel = 2 * kernel.lanes
    cache.threads.forEachRange((columns + panel - 1) / panel, minimumLength: 1) { panels in
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
