// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// A convolution or fully connected layer: windows of an image times weights, followed by bias,
/// addend and clamp in fp32, or by scaling and rounding of exact integer sums.
struct ProductInstruction: StripedInstruction {
  let label: String
  /// The key of the packed weights in the cache.
  let key: String
  let input: Int
  let window: Window
  /// Output channels, and the number of independent groups of channels.
  let columns, groups: Int
  let weights: Weights
  let kernel: ProductKernel
  let ending: Ending
  let cache: PackedWeights

  var reads: [Int] { [input] + [ending.addend, ranges].compactMap { $0 } }
  var writes: Int? { ending.output }

  var rows: RowWindow { window.rows(isPooled: ending.isPooled) }

  /// Dynamic ranges are those of all images.
  var isStriped: Bool { ranges == nil }

  /// The value that holds the inputs' range, if it is determined in each run.
  private var ranges: Int? {
    if case .dynamic(_, _, let ranges) = ending.bias { ranges } else { nil }
  }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, result) = (values[input], values[ending.output])
    let (from, to) = (image.steps, result.steps)
    let channels = image.channels / groups
    let stored = image.storedChannels / groups
    let share = columns / groups
    // If a row of the window is contiguous in memory, it is one segment.
    let merges =
      groups == 1 && window.dilationX == 1 && from.pixel == stored * image.elementSize
    let inner = merges ? 1 : window.width
    let segment = merges ? window.width * stored : stored
    let words = (segment + kernel.elementsPerWord - 1) / kernel.elementsPerWord
    let geometry = Product.Geometry(
      width: result.width, height: result.height,
      input: ImageSteps(
        pixel: window.strideX * from.pixel, row: window.strideY * from.row, image: from.image),
      output: to, addend: ending.addend.map { values[$0].steps } ?? to, outer: window.height,
      inner: inner, words: words, outerStep: window.dilationY * from.row,
      innerStep: window.dilationX * from.pixel, isPooled: ending.isPooled)
    let products = (0..<groups).map { group in
      let ending = ending(of: group, values)
      // The same matrix after images of another height and width is packed in other segments.
      let layout = "\(window.height)×\(inner)×\(segment)"
      let packed = cache.packed("\(key) \(group) \(layout) \(kernel.name)") {
        pack(
          group, channels: channels, segments: window.height * inner, length: segment,
          words: words)
      }
      return Product(
        kernel, geometry, columns: share, weights: packed, ending, threads: threadsPerImage)
    }
    let (input, output, addend) = (input, ending.output, ending.addend)
    let corner = window.corner(image)
    let (inputShare, outputShare) = (channels * image.elementSize, share * result.elementSize)
    let addendShare = share * (addend.map { values[$0].elementSize } ?? 0)
    let items: @Sendable (Int) -> Int = { images in
      products.reduce(0) { $0 + $1.items(images: images) }
    }
    return Step(
      label: label,
      computations: [
        Computation(
          .weighted(.product(kernel.operands)), kernel.name, isPooled: ending.isPooled)
      ],
      macs: ending.results(values).pixels * columns * channels * window.height * window.width,
      scratch: ranges == nil ? 0 : products[0].factorBytes, items: items
    ) { memory, images, items in
      // There is only one group in that case.
      let factors = unsafe ranges.map { ranges in
        let range = values[ranges].union(memory, ranges, images: images)
        unsafe products[0].setFactors(
          memory.scratch, scale: range.scale, zeroPoint: range.zeroPoint)
        return unsafe memory.scratch
      }
      var start = 0
      for (group, product) in products.enumerated() {
        let count = product.items(images: images)
        let own = items.clamped(to: start..<start + count)
        if !own.isEmpty {
          unsafe product.run(
            memory.start(input) - corner + group * inputShare, factors: factors,
            addend: addend.map { unsafe UnsafeRawPointer(memory.start($0) + group * addendShare) },
            into: memory.start(output) + group * outputShare, images: images,
            items: own.lowerBound - start..<own.upperBound - start)
        }
        start += count
      }
    }
  }

  /// One group's weights in the order of the kernel's segments.
  private func pack(
    _ group: Int, channels: Int, segments: Int, length: Int, words: Int
  ) -> AlignedMemory {
    let area = window.height * window.width
    let share = columns / groups
    var offsets = [Int32](repeating: -1, count: segments * words * kernel.elementsPerWord)
    let stored = length * segments / area
    for segment in 0..<segments {
      for element in 0..<length {
        // Elements are in the order row, column, channel; weights in the order channel, row,
        // column.
        let position = segment * length + element
        let (pixel, channel) = (position / stored, position % stored)
        guard channel < channels else { continue }
        offsets[segment * words * kernel.elementsPerWord + element] = Int32(channel * area + pixel)
      }
    }
    func packed<Element>(_ tensor: Tensor<Element>) -> AlignedMemory {
      let rows = tensor.contiguous()
      let span = rows.span
      return unsafe span.withUnsafeBytes {
        unsafe kernel.packed(
          $0.baseAddress! + group * share * channels * area * MemoryLayout<Element>.stride,
          columns: share, columnStep: channels * area, offsets: offsets)
      }
    }
    switch weights {
    case .float(let tensor): return packed(tensor)
    case .integer(let tensor): return packed(tensor)
    }
  }

  private func ending(of group: Int, _ all: [Value]) -> Product.Ending {
    let share = columns / groups
    let padding = kernel.paddedColumns(share) - share
    let own = group * share..<(group + 1) * share
    switch ending.bias {
    case .float(let values):
      let padded = values[own] + [Float](repeating: 0, count: padding)
      var made = Product.Ending(
        bias: AlignedMemory(Array(padded)), low: ending.low, high: ending.high)
      made.toBFloat = all[ending.output].kind == .bfloat
      made.addsBFloat = ending.addend.map { all[$0].kind == .bfloat } ?? false
      return made
    case .integer(let values, let scale), .dynamic(let values, let scale, _):
      let sums = values[own] + [Int32](repeating: 0, count: padding)
      let scales = scale[own] + [Float](repeating: 0, count: padding)
      return Product.Ending(
        bias: AlignedMemory(Array(sums)), scale: AlignedMemory(Array(scales)), low: ending.low,
        high: ending.high, zeroPoint: ending.zeroPoint)
    }
  }
}
