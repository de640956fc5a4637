// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// A convolution with a separate window per channel.
struct DepthwiseInstruction: StripedInstruction {
  let label: String
  /// The key of the packed weights in the cache.
  let key: String
  let input: Int
  let window: Window
  /// C×1×kH×kW.
  let weights: Weights
  /// The type of the image and, unless it is the integer one, of the result.
  let operands: ProductKernel.Operands
  let ending: Ending
  let cache: PackedWeights

  var reads: [Int] { [input] }
  var writes: Int? { ending.output }
  var rows: RowWindow { window.rows() }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, result) = (values[input], values[ending.output])
    let (from, to) = (image.steps, result.steps)
    let geometry = WindowGeometry(
      channels: image.channels, outWidth: result.width, outHeight: result.height,
      kernelWidth: window.width, kernelHeight: window.height, inX: window.strideX * from.pixel,
      inY: window.strideY * from.row, tapX: window.dilationX * from.pixel,
      tapY: window.dilationY * from.row, outX: to.pixel, outY: to.row)
    let packed = cache.packed("\(key) depthwise \(operands == .integer)") { pack() }
    let (bias, scale) = constants
    let (input, output, ending) = (input, ending.output, ending)
    let corner = window.corner(image)
    let kernel = WindowKernel.current
    let isBFloat = operands == .bfloat
    return Step(
      label: label, computations: [Computation(.weighted(.depthwise(operands)), kernel.name)],
      macs: result.count * window.height * window.width, items: Step.perImage(result.height)
    ) { memory, _, items in
      forEachImage(items, rows: result.height) { image, rows in
        let source = unsafe memory.start(input) - corner + image * from.image
        let target = unsafe memory.start(output) + image * to.image
        guard let scale else {
          var weights = unsafe DepthwiseF32(
            weights: UnsafePointer(packed.base.assumingMemoryBound(to: Float.self)),
            bias: UnsafePointer(bias.base.assumingMemoryBound(to: Float.self)))
          unsafe (weights.low, weights.high) = (ending.low, ending.high)
          if isBFloat {
            unsafe kernel.depthwiseBF16(geometry, weights, from: source, to: target, rows: rows)
          } else {
            unsafe kernel.depthwise(geometry, weights, from: source, to: target, rows: rows)
          }
          return
        }
        var weights = unsafe DepthwiseU8(
          weights: UnsafePointer(packed.base.assumingMemoryBound(to: Int8.self)),
          bias: UnsafePointer(bias.base.assumingMemoryBound(to: Int32.self)),
          scale: UnsafePointer(scale.base.assumingMemoryBound(to: Float.self)))
        unsafe (weights.low, weights.high) = (ending.low, ending.high)
        if let zeroPoint = ending.zeroPoint {
          unsafe weights.zeroPoint = zeroPoint
          unsafe kernel.depthwise(geometry, weights, from: source, to: target, rows: rows)
        } else {
          unsafe kernel.depthwiseToFloat(geometry, weights, from: source, to: target, rows: rows)
        }
      }
    }
  }

  private var constants: (bias: AlignedMemory, scale: AlignedMemory?) {
    switch ending.bias {
    case .float(let values): (AlignedMemory(values), nil)
    case .integer(let values, let scale), .dynamic(let values, let scale, _):
      (AlignedMemory(values), AlignedMemory(scale))
    }
  }

  /// kH×kW×C.
  private func pack() -> AlignedMemory {
    func packed<Element>(_ tensor: Tensor<Element>) -> AlignedMemory {
      AlignedMemory(tensor.permuted(to: [2, 3, 0, 1]).elements)
    }
    switch weights {
    case .float(let tensor): return packed(tensor)
    case .integer(let tensor): return packed(tensor)
    }
  }
}

/// Divides rows of consecutive images into the rows of each image.
func forEachImage(
  _ items: Range<Int>, rows: Int, _ body: (_ image: Int, _ rows: Range<Int>) -> Void
) {
  var item = items.lowerBound
  while item < items.upperBound {
    let (image, first) = (item / rows, item % rows)
    let count = min(rows - first, items.upperBound - item)
    body(image, first..<first + count)
    item += count
  }
}
