// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// A fully connected layer or matrix product with 4-bit weights that are decoded on the fly.
struct GroupwiseInstruction: Instruction {
  let label: String
  /// The key of the packed weights in the cache.
  let key: String
  let input: Int
  /// The quantization of the input's bytes; `nil` if it is fp32.
  let quantized: Lowering.Quantized?
  let weights: GroupwiseWeights
  let bias: [Float]
  let ending: Ending
  let cache: PackedWeights

  var reads: [Int] { [input] }
  var writes: Int? { ending.output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, result) = (values[input], values[ending.output])
    let kernel: GroupwiseKernel = quantized == nil ? .float : .bytes
    let (from, to) = (image.steps, result.steps)
    let packed = cache.packed("\(key) \(kernel.name)") { weights.packed(kernel, quantized) }
    let padding = kernel.paddedColumns(weights.columns) - weights.columns
    let product = GroupwiseProduct(
      kernel, depth: weights.depth, group: weights.group, columns: weights.columns,
      weights: packed, zero: weights.commonZero,
      bias: AlignedMemory(bias + [Float](repeating: 0, count: padding)), low: ending.low,
      high: ending.high)
    let (input, output, pixels) = (input, ending.output, image.pixels)
    let macs = pixels * weights.columns * weights.depth
    let computations = [Computation(.weighted(.groupwise(kernel.operands)), kernel.name)]
    guard pixels > 1 else {
      // For vectors, each row is an image.
      let items: @Sendable (Int) -> Int = { product.items(rows: $0) }
      return Step(label: label, computations: computations, macs: macs, items: items) {
        memory, images, items in
        unsafe product.run(
          memory.start(input), stride: from.image, into: memory.start(output),
          outputStride: to.image, rows: images, items: items)
      }
    }
    let perImage = product.items(rows: pixels)
    return Step(
      label: label, computations: computations, macs: macs, items: Step.perImage(perImage)
    ) { memory, _, items in
      forEachImage(items, rows: perImage) { image, own in
        unsafe product.run(
          memory.start(input) + image * from.image, stride: from.pixel,
          into: memory.start(output) + image * to.image, outputStride: to.pixel, rows: pixels,
          items: own)
      }
    }
  }
}
