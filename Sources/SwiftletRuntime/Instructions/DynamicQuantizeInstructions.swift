// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletKernels

/// The ranges of the pieces of each image, from which ``DynamicQuantizeInstruction`` and
/// ``ProductInstruction`` derive the scale and the zero point of the whole batch.
///
/// Minimum and maximum do not depend on the division of pixels into pieces.
struct DynamicRangeInstruction: Instruction {
  let label: String
  let input, output: Int

  /// Enough for the threads that share an image.
  private static let mostPieces = 16

  var reads: [Int] { [input] }
  var writes: Int? { output }

  /// A pair of numbers for each piece of an image.
  static func ranges(of image: Value) -> Value {
    Value(kind: .float, channels: 2 * min(image.pixels, mostPieces), height: 1, width: 1)
  }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, ranges) = (values[input], values[output])
    let (input, output) = (input, output)
    let pieces = ranges.channels / 2
    return Step(
      label: label, computations: [Computation(.range)], items: Step.perImage(pieces)
    ) { memory, _, items in
      for item in items {
        let (index, piece) = (item / pieces, item % pieces)
        var range = DynamicRange()
        let first = unsafe UnsafeRawPointer(memory.start(input)) + index * image.steps.image
        for pixel in image.pixels * piece / pieces..<image.pixels * (piece + 1) / pieces {
          let start = unsafe first + image.offset(ofPixel: pixel)
          range.add(
            unsafe Span(
              _unsafeStart: start.assumingMemoryBound(to: Float.self), count: image.channels))
        }
        let target = unsafe (memory.start(output) + index * ranges.steps.image + 8 * piece)
          .assumingMemoryBound(to: Float.self)
        unsafe (target[0], target[1]) = (range.least, range.greatest)
      }
    }
  }
}

/// Quantizes fp32 values to bytes by the range of the whole batch.
struct DynamicQuantizeInstruction: Instruction {
  let label: String
  let input, ranges, output: Int

  var reads: [Int] { [input, ranges] }
  var writes: Int? { output }
  var readsAllImages: Bool { true }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (image, result, ranges) = (values[input], values[output], values[self.ranges])
    let (instruction, kernel) = (self, PointwiseKernel.current)
    return Step(
      label: label, computations: [Computation(.quantize, kernel.name)],
      items: Step.perImage(image.pixels)
    ) { memory, images, items in
      let range = ranges.union(memory, instruction.ranges, images: images)
      let (scale, zero) = (range.scale, Int32(range.zeroPoint))
      forEachImage(items, rows: image.pixels) { index, pixels in
        let source = unsafe memory.start(instruction.input) + index * image.steps.image
        let target = unsafe memory.start(instruction.output) + index * result.steps.image
        for pixel in pixels {
          unsafe kernel.planesToPixelsU8(
            .run(image.channels, elementSize: 1), scale: scale, zeroPoint: zero,
            from: source + image.offset(ofPixel: pixel), to: target + result.offset(ofPixel: pixel),
            rows: 0..<1)
        }
      }
    }
  }
}

extension Value {
  /// The offset in bytes of a pixel of an image, counting row by row.
  fileprivate func offset(ofPixel pixel: Int) -> Int {
    pixel / width * steps.row + pixel % width * steps.pixel
  }

  /// The range of all images, from the value that ``DynamicRangeInstruction`` writes.
  func union(_ memory: Memory, _ value: Int, images: Int) -> DynamicRange {
    var range = DynamicRange()
    for image in 0..<images {
      let start = unsafe UnsafeRawPointer(memory.start(value)) + image * steps.image
      range.add(
        unsafe Span(
          _unsafeStart: start.assumingMemoryBound(to: Float.self), count: channels))
    }
    return range
  }
}
