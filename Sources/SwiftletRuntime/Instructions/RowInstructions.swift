// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels

/// Operations on all channels of each pixel together.
struct RowInstruction: Instruction {
  let label: String
  let input, output: Int
  let operation: Operation

  enum Operation: Sendable {
    case softmax
    case normalize(gamma: AlignedMemory, beta: AlignedMemory?, epsilon: Float)
  }

  var reads: [Int] { [input] }
  var writes: Int? { output }

  func step(_ values: [Value], threadsPerImage: Int) -> Step {
    let (from, to) = (values[input], values[output])
    let (instruction, kernel) = (self, PointwiseKernel.current)
    let kind: Computation.Kind = if case .softmax = operation { .softmax } else { .normalize }
    return Step(
      label: label, computations: [Computation(kind, kernel.name)],
      items: Step.perImage(from.pixels)
    ) { memory, _, items in
      var item = items.lowerBound
      while item < items.upperBound {
        let (image, pixel) = (item / from.pixels, item % from.pixels)
        let (row, column) = (pixel / from.width, pixel % from.width)
        let count = min(from.width - column, items.upperBound - item)
        item += count
        let source =
          unsafe memory.start(instruction.input) + image * from.steps.image
          + row * from.steps.row + column * from.steps.pixel
        let target =
          unsafe memory.start(instruction.output) + image * to.steps.image
          + row * to.steps.row + column * to.steps.pixel
        switch instruction.operation {
        case .softmax:
          unsafe kernel.softmax(
            rows: count, channels: from.channels, source, strideX: from.steps.pixel, to: target,
            strideY: to.steps.pixel)
        case .normalize(let gamma, let beta, let epsilon):
          unsafe kernel.layerNorm(
            rows: count, channels: from.channels, source, strideX: from.steps.pixel,
            gamma: UnsafePointer(gamma.base.assumingMemoryBound(to: Float.self)),
            beta: beta.map { unsafe UnsafePointer($0.base.assumingMemoryBound(to: Float.self)) },
            epsilon: epsilon, to: target, strideY: to.steps.pixel)
        }
      }
    }
  }
}
