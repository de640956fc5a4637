// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// The maximum or mean of the values under a window, clipped at the edge of the image.
struct PoolInstruction: Instruction {
  let label: String
  let input, output: Int
  let place: SlidingWindow.Placement
  let operation: Operation

  enum Operation: Sendable {
    case max
    case average(includesPadding: Bool)
    case averageBytes(AverageU8)
  }

  var reads: [Int] { [input] }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, result) = (values[input], values[output])
    let (from, to) = (image.steps, result.steps)
    var geometry = PoolGeometry(
      channels: image.channels, inWidth: image.width, inHeight: image.height,
      outWidth: result.width, outHeight: result.height, kernelWidth: place.width.kernel,
      kernelHeight: place.height.kernel, inX: from.pixel, inY: from.row, outX: to.pixel,
      outY: to.row)
    (geometry.strideX, geometry.strideY) = (place.width.stride, place.height.stride)
    (geometry.dilationX, geometry.dilationY) = (place.width.dilation, place.height.dilation)
    (geometry.padLeft, geometry.padRight) = (place.width.before, place.width.after)
    (geometry.padTop, geometry.padBottom) = (place.height.before, place.height.after)
    let (input, output, operation, kind) = (input, output, operation, image.kind)
    let (kernel, window) = (WindowKernel.current, geometry)
    return Step(
      label: label, computations: [Computation(.pool, kernel.name)],
      items: Step.perImage(result.height)
    ) { memory, _, items in
      forEachImage(items, rows: result.height) { image, rows in
        let source = unsafe memory.start(input) + image * from.image
        let target = unsafe memory.start(output) + image * to.image
        switch operation {
        case .max where kind == .float:
          unsafe kernel.maxPoolF32(window, from: source, to: target, rows: rows)
        case .max where kind == .bfloat:
          unsafe kernel.maxPoolBF16(window, from: source, to: target, rows: rows)
        case .max:
          unsafe kernel.maxPoolU8(window, from: source, to: target, rows: rows)
        case .average(let includesPadding) where kind == .bfloat:
          unsafe kernel.averagePoolBF16(
            window, includePad: includesPadding, from: source, to: target, rows: rows)
        case .average(let includesPadding):
          unsafe kernel.averagePoolF32(
            window, includePad: includesPadding, from: source, to: target, rows: rows)
        case .averageBytes(let average):
          unsafe kernel.averagePoolU8(window, average, from: source, to: target, rows: rows)
        }
      }
    }
  }
}
