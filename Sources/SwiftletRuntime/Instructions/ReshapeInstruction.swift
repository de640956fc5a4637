// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// The elements of a value in the same sequence, as pixels of another number and size.
///
/// If neither side has gaps between its pixels, both share their memory, and there is nothing to
/// do: see ``Program``.
struct ReshapeInstruction: Instruction {
  let label: String
  let input, output: Int

  var reads: [Int] { [input] }
  var writes: Int? { output }

  /// Whether the elements have the same positions on both sides.
  func isAlias(_ values: [Value]) -> Bool {
    let (from, to) = (values[input], values[output])
    guard from.kind == to.kind, from.halo.isEmpty, to.halo.isEmpty,
      from.steps.image == to.steps.image
    else { return false }
    return from.channels == to.channels && from.steps.pixel == to.steps.pixel
      || from.isPacked && to.isPacked
  }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (from, to) = (values[input], values[output])
    let (input, output) = (input, output)
    return Step(label: label, computations: [Computation(.copy)], items: Step.perImage(1)) {
      memory, _, images in
      for image in images {
        let source = unsafe memory.start(input) + image * from.steps.image
        let target = unsafe memory.start(output) + image * to.steps.image
        var position = 0
        while position < from.count {
          let (pixel, channel) = position.quotientAndRemainder(dividingBy: from.channels)
          let (otherPixel, otherChannel) = position.quotientAndRemainder(dividingBy: to.channels)
          let run = min(from.channels - channel, to.channels - otherChannel)
          unsafe (target + to.offset(pixel: otherPixel) + otherChannel * to.elementSize).copyMemory(
            from: source + from.offset(pixel: pixel) + channel * from.elementSize,
            byteCount: run * from.elementSize)
          position += run
        }
      }
    }
  }
}

extension Value {
  /// Whether the pixels of an image have no gaps between them.
  fileprivate var isPacked: Bool { steps.pixel == channels * elementSize && halo.isEmpty }

  /// Bytes from the first pixel of an image.
  fileprivate func offset(pixel: Int) -> Int {
    pixel / width * steps.row + pixel % width * steps.pixel
  }
}
